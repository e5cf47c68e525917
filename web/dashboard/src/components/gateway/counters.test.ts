import { expect, test } from "vitest";

import { bars, bound } from "./counters";

test("only buckets between the first and the last used are drawn, empty ones among them too", () => {
  expect(bars([0, 0, 0])).toEqual([]);
  expect(bars([0, 3, 0, 1, 0])).toEqual([
    { below_us: 2, ticks: 3 },
    { below_us: 4, ticks: 0 },
    { below_us: 8, ticks: 1 },
  ]);
});

test("bounds are read at a glance", () => {
  expect([64, 256, 1024, 16_384, 2_097_152].map(bound)).toEqual(["64 µs", "0.3 ms", "1 ms", "16 ms", "2 s"]);
});
