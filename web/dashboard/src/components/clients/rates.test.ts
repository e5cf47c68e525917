import { expect, test } from "vitest";

import type { Subscriber } from "@/api/types";

import { looked } from "./rates";

function client(address: string, over: Partial<Subscriber> = {}): Subscriber {
  return { address, connected_ms: 1, idle_ms: 0, subscriptions: 1, topics: ["rb"], delivered: 0, dropped: 0, waiting_bytes: 0, ...over };
}

test("rates are what was sent between two looks, and a newcomer has none yet", () => {
  const first = looked(null, [client("a", { delivered: 100 })], 1_000);
  expect(first.clients[0]?.sent_per_s).toBeNull();
  const second = looked(first, [client("a", { delivered: 350 }), client("b", { delivered: 9 })], 3_000);
  expect(second.clients.map((one) => one.sent_per_s)).toEqual([125, null]);
});

test("whoever is dropped for, or piles up, is slow; what was dropped long ago is past", () => {
  const slow = (then: Partial<Subscriber>, now: Partial<Subscriber>) => looked(looked(null, [client("a", then)], 0), [client("a", now)], 1_000).clients[0]?.is_slow;
  expect(slow({ dropped: 3 }, { dropped: 4 })).toBe(true);
  expect(slow({ dropped: 4 }, { dropped: 4 })).toBe(false);
  expect(slow({ waiting_bytes: 2e6 }, { waiting_bytes: 3e6 })).toBe(true);
  expect(slow({ waiting_bytes: 3e6 }, { waiting_bytes: 2e6 })).toBe(false);
  expect(slow({}, { waiting_bytes: 1000 })).toBe(false);
});

test("the mark stays for a minute, so that it does not come and go", () => {
  let look = looked(looked(null, [client("a")], 0), [client("a", { dropped: 1 })], 1_000);
  const marks = [30_000, 60_000, 62_000].map((atMs) => {
    look = looked(look, [client("a", { dropped: 1 })], atMs);
    return look.clients[0]?.is_slow;
  });
  expect(marks).toEqual([true, true, false]);
});
