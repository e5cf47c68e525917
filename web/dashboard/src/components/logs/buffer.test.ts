import { expect, test } from "vitest";

import type { LogLine } from "@/api/types";

import { asText, gist, isEvent, LINES_MAX, marked, merged, placeOf } from "./buffer";

function line(seq: number, over: Partial<LogLine> = {}): LogLine {
  return { seq, at_ms: seq, level: "info", target: "mdhub", message: `m${seq}`, fields: {}, ...over };
}

const lines = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => line(from + n));
const numbers = (of: LogLine[]) => of.map((one) => one.seq);

test("the past and what comes meet without a line twice or missing", () => {
  expect(numbers(merged(lines(1, 5), lines(6, 8)))).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  // What came while the past was asked for stands in both.
  expect(numbers(merged(lines(4, 6), lines(1, 5)))).toEqual([1, 2, 3, 4, 5, 6]);
  expect(numbers(merged([], lines(2, 3)))).toEqual([2, 3]);
  expect(numbers(merged(lines(2, 3), []))).toEqual([2, 3]);
});

test("a page that stays open holds ten thousand lines and not more", () => {
  const held = merged(lines(1, LINES_MAX), lines(LINES_MAX + 1, LINES_MAX + 500));
  expect([held.length, held[0]?.seq, held.at(-1)?.seq]).toEqual([LINES_MAX, 501, LINES_MAX + 500]);
});

test("an instant is looked for further back until its lines are there", () => {
  const held = lines(10, 20);
  expect(placeOf(held, 15, true)).toBe(5);
  // It may begin before what is held.
  expect(placeOf(held, 5, true)).toBeNull();
  expect(placeOf(held, 10, true)).toBeNull();
  // Nothing older is kept, or nothing newer is there.
  expect(placeOf(held, 5, false)).toBe(0);
  expect(placeOf(held, 99, true)).toBe(10);
  expect(placeOf([], 5, false)).toBeNull();
});

test("what was searched for is marked wherever it stands, in its own letters", () => {
  expect(marked("Front lost, front back", "front")).toEqual(["", "Front", " lost, ", "front", " back"]);
  expect(marked("nothing", "zzz")).toEqual(["nothing"]);
  expect(marked("all", "")).toEqual(["all"]);
});

test("what a line is about stands beside its message, in a fixed order", () => {
  expect(gist(line(1, { fields: { why: "a canary is silent", run: "hub", condition: "CanaryFresh", status: "False" } }))).toBe("CanaryFresh · False · a canary is silent");
  expect(gist(line(1))).toBe("");
});

test("a line is written down with its fields", () => {
  expect(asText(line(1, { account: "a", fields: { pid: 7, why: "x" } }), String)).toBe("1 INFO  a m1 pid=7 why=x");
  expect([isEvent(line(1, { message: "started" })), isEvent(line(1, { message: "condition" }))]).toEqual([true, false]);
});
