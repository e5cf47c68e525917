import { describe, expect, it } from "vitest";

import { choices, rowOf, shownOf, WINDOW, windowOf } from "./window";

describe("a window on a long list", () => {
  it("holds whatever is in sight, with rows before and behind", () => {
    for (let first = 0; first < 20_000; first += 7) {
      const from = windowOf(first);
      expect(from).toBeLessThanOrEqual(Math.max(0, first - 100) + 99);
      expect(from).toBeLessThanOrEqual(first);
      expect(from + WINDOW).toBeGreaterThanOrEqual(first + 100);
    }
  });

  it("moves seldom", () => {
    const starts = new Set(Array.from({ length: 1_000 }, (_, first) => windowOf(first)));
    expect(starts.size).toBe(9);
  });

  it("knows the rows that it has, and no others", () => {
    const part = { offset: 100, total: 20_000, items: ["a", "b"] };
    expect([99, 100, 101, 102].map((index) => rowOf(part, index))).toEqual([undefined, "a", "b", undefined]);
  });

  it("is not taken for an answer to another question when that has failed", () => {
    const old = { of: "rb" };
    expect([shownOf(old, "rb", true), shownOf(old, "au", false), shownOf(old, "au", true), shownOf(null, "au", true)]).toEqual([old, old, null, null]);
  });
});

it("lets go of an exchange that has no contract", () => {
  const dce = { exchange: "DCE", desired: 3 };
  expect([choices([dce], ""), choices([dce], "DCE")]).toEqual([[dce], [dce]]);
  expect([choices([dce], "SSE"), choices([], "XXX")]).toEqual([[dce, { exchange: "SSE", desired: 0 }], [{ exchange: "XXX", desired: 0 }]]);
});
