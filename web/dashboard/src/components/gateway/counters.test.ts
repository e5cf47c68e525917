import { expect, test } from "vitest";

import { bars, bound, placeOf } from "./counters";

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

test("a percentile stands on the bar that holds it", () => {
  const shown = bars([0, 0, 4, 9, 1]);
  expect(shown.map((bar) => bar.below_us)).toEqual([4, 8, 16]);
  expect([placeOf(shown, 4), placeOf(shown, 8), placeOf(shown, 6), placeOf(shown, 1_000), placeOf(shown, 1)]).toEqual([1, 2, Math.log2(1.5) + 1, 3, 0]);
  expect([placeOf([], 4), placeOf(shown, null)]).toEqual([null, null]);
});
