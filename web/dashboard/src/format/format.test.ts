import { expect, test } from "vitest";

import { asMs, bytes, count, percent, price, rate } from "./number";
import { clockMs, countdown, day, dayClock, seconds, span } from "./time";

test("numbers keep their digits, and nothing is a dash", () => {
  expect([count(1948), count(0), count(null), count(NaN)]).toEqual(["1,948", "0", "—", "—"]);
  expect([rate(0), rate(1.94), rate(9.96), rate(1846)]).toEqual(["0", "1.9", "10", "1,846"]);
  expect([percent(0.587), percent(1), percent(null)]).toEqual(["58.7", "100.0", "—"]);
  expect([price(3142), price(962.44), price(0.0847), price(null)]).toEqual(["3,142", "962.44", "0.0847", "—"]);
  expect([asMs(380), asMs(11_400), asMs(250_000), asMs(null)]).toEqual(["0.38", "11.4", "250", "—"]);
  expect([bytes(12), bytes(1536), bytes(3 * 1024 * 1024)]).toEqual(["12 B", "1.5 KB", "3.0 MB"]);
});

test("clocks show Beijing time over midnight", () => {
  const at = Date.UTC(2026, 10, 17, 16, 0, 1, 7);
  expect([day(at), clockMs(at), dayClock(at)]).toEqual(["2026-11-18", "00:00:01.007", "11-18 00:00:01"]);
});

test("spans and countdowns", () => {
  expect([countdown(2_530_000), countdown(-5), countdown(97_200_000)]).toEqual(["00:42:10", "00:00:00", "1 d 03:00:00"]);
  expect([span(59_999), span(45 * 60_000), span(6_720_000), span(266_400_000)]).toEqual(["59 s", "45 m", "1 h 52 m", "3 d 02 h"]);
  expect([seconds(230), seconds(-3), seconds(120_400), seconds(null)]).toEqual(["0.2", "0.0", "120", "—"]);
});
