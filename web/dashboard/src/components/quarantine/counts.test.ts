import { expect, test } from "vitest";

import type { Gateway } from "@/api/types";

import { counted } from "./counts";

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
