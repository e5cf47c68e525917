import { expect, test } from "vitest";

import type { Account, Gateway } from "@/api/types";
import type { HubState } from "@/live/state";

import { AHEAD_MS, opensSoon, report } from "./report";

function gateway(id: string, status = "True", over: Partial<Gateway> = {}): Gateway {
  return { id, kind: "ctp", phase: "Healthy", is_enabled: true, suspended: false, conditions: [{ type: "LoggedIn", status }], ...over } as Gateway;
}

function account(id: string, front: string): Account {
  return { id, gateway: "ctp", is_enabled: true, settings: { md_address: [front] } } as Account;
}

function hub(sections: HubState["sections"]): HubState {
  return { sections } as HubState;
}

const CLOSED = hub({ always_open: false, items: [], calendar_days_left: 100 });

test("all is ready when everybody is logged in, on fronts of their own, for long enough", () => {
  const ready = report([gateway("a"), gateway("b")], [account("a", "x"), account("b", "y")], CLOSED, { desired: 5, acknowledged: 5 });
  expect([ready.logins.grade, ready.coverage?.grade, ready.calendar.grade, ready.sources.grade]).toEqual(["ok", "ok", "ok", "ok"]);
});

test("who is not logged in is named; a kind without anybody is bad", () => {
  expect(report([gateway("a"), gateway("b", "False")], [], CLOSED, null).logins).toEqual({ grade: "warn", in: 1, of: 2, out: ["b"] });
  expect(report([gateway("a"), gateway("s", "Unknown", { kind: "sopt" })], [], CLOSED, null).logins.grade).toBe("bad");
  expect(report([gateway("a", "True", { suspended: true })], [], CLOSED, null).logins).toMatchObject({ grade: "bad", of: 0 });
});

test("missing contracts, a shared front, a lone source and a calendar that ends are told", () => {
  const one = report([gateway("a")], [], hub({ always_open: false, items: [], calendar_days_left: 7 }), { desired: 5, acknowledged: 4 });
  expect([one.coverage?.grade, one.calendar.grade, one.sources.alone]).toEqual(["warn", "warn", ["CTP"]]);
  const two = report([gateway("a"), gateway("b")], [account("a", "x"), account("b", "x")], hub({ always_open: false, items: [], calendar_days_left: -1 }), null);
  expect([two.calendar.grade, two.sources.shared]).toEqual(["bad", ["a", "b"]]);
  expect(report([gateway("a")], [], hub({ always_open: true }), null).calendar).toEqual({ grade: "ok", daysLeft: null });
});

test("the card comes half an hour before a section, and not while one is open", () => {
  const item = (phase: "open" | "closed", until_ms: number) => ({ exchange: "SHFE", phase, products: [], until_ms });
  const of = (...items: ReturnType<typeof item>[]) => opensSoon(hub({ always_open: false, items }), 1_000_000);
  expect(of(item("closed", 1_000_000 + AHEAD_MS))).toBe(1_000_000 + AHEAD_MS);
  expect(of(item("closed", 1_000_001 + AHEAD_MS))).toBeNull();
  expect(of(item("closed", 1_000_500), item("open", 2_000_000))).toBeNull();
  expect(opensSoon(hub({ always_open: true }), 1_000_000)).toBeNull();
});

test("a gateway of vnpy is no market of its own", () => {
  const both = [gateway("a", "True", { dialect: "ctp" }), gateway("v", "True", { kind: "vnpy", dialect: "ctp" })];
  expect(report(both, [], CLOSED, null).sources.alone).toEqual([]);
  expect(report(both.slice(1), [], CLOSED, null).sources.alone).toEqual(["CTP"]);
  const account = (id: string, kind: string) => ({ id, gateway: kind, is_enabled: true, settings: { md_address: ["tcp://one:1"] } }) as Account;
  expect(report(both, [account("a", "ctp"), account("v", "vnpy")], CLOSED, null).sources.shared).toEqual(["a", "v"]);
});
