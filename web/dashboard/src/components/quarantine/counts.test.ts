import { expect, test } from "vitest";

import type { Gateway, RejectedTick } from "@/api/types";

import { counted, flat, MINUTES, overTime } from "./counts";

test("rules by which nothing was rejected are left out, the busiest comes first", () => {
  const of = (id: string, counters: unknown) => ({ id, counters }) as Gateway;
  const rules = (bad: number, old: number) => ({ rejected_by_rule: [{ rule: "bad_time", ticks: bad }, { rule: "replayed", ticks: old }, { rule: "jump", ticks: 0 }] });
  expect(counted([of("b", rules(1, 5)), of("a", rules(2, 0)), of("c", null)])).toEqual({
    rules: [
      { rule: "replayed", by: { a: 0, b: 5 }, total: 5 },
      { rule: "bad_time", by: { a: 2, b: 1 }, total: 3 },
    ],
    sources: ["a", "b"],
  });
});

test("ticks are counted by the minute, and minutes of which not all is told are not counted as nothing", () => {
  const tick = (rule: string, minute: number) => ({ rule, read_at_ms: minute * 60_000 + 59_999 }) as RejectedTick;
  const told = [tick("a", 100), tick("a", 99), tick("b", 99), tick("a", 99), tick("a", 95), tick("b", 60)];
  const all = overTime(told, 100 * 60_000, false);
  expect(all.a?.minutes.slice(-6)).toEqual([1, 0, 0, 0, 2, 1]);
  expect([all.a?.lastMs, all.b?.lastMs, all.b?.minutes.length]).toEqual([100 * 60_000 + 59_999, 99 * 60_000 + 59_999, MINUTES]);
  expect(all.b?.minutes.reduce<number>((sum, n) => sum + (n ?? 0), 0)).toBe(1);
  const newest = overTime(told.slice(0, 5), 100 * 60_000, true);
  expect(newest.a?.minutes.slice(-7)).toEqual([null, null, 0, 0, 0, 2, 1]);
});

test("each of a record's values stands by itself", () => {
  expect(flat({ volume: 7, update_time: "99:99:99", levels: [{ bid_price: 1 }, { bid_price: null }] })).toEqual([
    ["volume", "7"],
    ["update_time", '"99:99:99"'],
    ["levels.1.bid_price", "1"],
    ["levels.2.bid_price", "null"],
  ]);
});
