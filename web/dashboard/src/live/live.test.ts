import { expect, test } from "vitest";

import type { Gateway, HubEvent } from "@/api/types";

import { History, POINT_MS, POINTS } from "./history";
import { judged, ordered } from "./judged";
import { isClosed, kindOf, overall } from "./overall";
import { pause } from "./socket";
import { after, EVENTS_KEPT, type HubPicture, type HubState, NOTHING, type Rates } from "./state";

function gateway(id: string, over: Partial<Gateway> = {}): Gateway {
  return { id, phase: "Healthy", why: "ready", conditions: [], exchanges: {}, kind: "ctp", priority: 1, is_enabled: true, suspended: false, ...over } as Gateway;
}

const HUB: HubState = {
  desired: { state: "fresh", since_ms: 0, revision: "1", message: "" },
  settings: { since_ms: 0, refused: null, restart_needed: [] },
  silent_markets: [],
  sections: { always_open: true },
};

function rates(at_ms: number, ticks_per_s: number): Rates {
  return { at_ms, hub: { ticks_per_s, published: 0, subscribers: 0, delivered_per_s: 0, dropped_per_s: 0 }, accounts: {}, canaries: [] };
}

function event(at_ms: number): HubEvent {
  return { at_ms, actor: "hub", reason: "Failover", message: "m" } as HubEvent;
}

test("an exchange may be closed while another is open", () => {
  const item = (exchange: string, phase: "open" | "closed") => ({ exchange, phase, products: [], until_ms: null });
  const hub = { ...HUB, sections: { always_open: false, items: [item("SHFE", "closed"), item("SHFE", "open"), item("DCE", "closed")] } };
  expect([isClosed(hub), isClosed(hub, "SHFE"), isClosed(hub, "DCE"), isClosed(HUB, "DCE")]).toEqual([false, false, true, false]);
});

test("a snapshot replaces everything, and events follow it one by one", () => {
  const state = { gateways: [gateway("a"), gateway("b")], hub: HUB, rates: null, events: [event(1)] };
  let picture = after({ ...NOTHING, gateways: { old: gateway("old") } }, { type: "snapshot", revision: 7, state });
  expect(Object.keys(picture?.gateways ?? {})).toEqual(["a", "b"]);
  picture = after(picture as HubPicture, { type: "event", revision: 8, topic: "gateways", items: [gateway("a", { phase: "Unhealthy" })] });
  expect(picture?.gateways.a?.phase).toBe("Unhealthy");
  picture = after(picture as HubPicture, { type: "event", revision: 9, topic: "removed", ids: ["b"] });
  expect([picture?.revision, Object.keys(picture?.gateways ?? {})]).toEqual([9, ["a"]]);
});

test("a message that is missing or told twice asks for a new snapshot", () => {
  const picture = { ...NOTHING, revision: 5 };
  for (const revision of [5, 7]) expect(after(picture, { type: "event", revision, topic: "removed", ids: [] })).toBeNull();
});

test("a page that stays open for days keeps a bounded past", () => {
  let picture: HubPicture = NOTHING;
  for (let n = 1; n <= EVENTS_KEPT + 10; n += 1) {
    picture = after(picture, { type: "event", revision: n, topic: "event", event: event(n) }) as HubPicture;
  }
  expect([picture.events.length, picture.events[0]?.at_ms]).toEqual([EVENTS_KEPT, EVENTS_KEPT + 10]);
  const history = new History();
  for (let n = 0; n < 4 * POINTS; n += 1) history.take(rates(1_000_000 + n * POINT_MS, n));
  const { points, max } = history.of("published");
  expect([points.length, points.at(-1), max]).toEqual([POINTS, 4 * POINTS - 1, 4 * POINTS - 1]);
});

test("half an hour in which nothing was heard is a gap, and not a line", () => {
  const history = new History();
  history.take(rates(1_000_000, 5));
  history.take(rates(1_000_000 + 3 * POINT_MS, 7));
  expect(history.of("published").points).toEqual([5, null, null, 7]);
});

test("one word for the whole hub, and the worst reason first", () => {
  const of = (gateways: Gateway[], hub: HubState | null = HUB) => {
    const { state, reason } = overall(gateways, hub);
    return [state, reason.why];
  };
  const sick = { phase: "CoolingDown" };
  expect(of([], null)).toEqual(["waiting", "waiting"]);
  expect(of([gateway("a"), gateway("b")])).toEqual(["healthy", "allWell"]);
  expect(of([gateway("a", { is_enabled: false })])).toEqual(["idle", "noneDesired"]);
  expect(of([gateway("a", sick), gateway("b")])).toEqual(["degraded", "noRedundancy"]);
  expect(of([gateway("a", sick), gateway("b"), gateway("c")])).toEqual(["degraded", "sick"]);
  expect(of([gateway("a", sick), gateway("s", { kind: "sopt" })])).toEqual(["down", "noSource"]);
  expect(of([gateway("a", sick)], { ...HUB, silent_markets: ["ctp"] })).toEqual(["down", "silentMarket"]);
  expect(of([gateway("a")], { ...HUB, sections: { always_open: false, items: [] } })).toEqual(["closed", "allClosed"]);
  expect(of([gateway("a")], { ...HUB, desired: { ...HUB.desired, state: "stale" } })).toEqual(["degraded", "desiredStale"]);
  expect(of([gateway("a")], { ...HUB, desired: { ...HUB.desired, state: "suspicious" } })).toEqual(["degraded", "desiredSuspicious"]);
  expect(of([gateway("a")], { ...HUB, settings: { ...HUB.settings, refused: "line 3" } })).toEqual(["degraded", "settingsRefused"]);
});

test("amber is the hub's work, red a person's", () => {
  const loop = [{ type: "CrashLoop", status: "True", reason: "r", message: "m" }] as Gateway["conditions"];
  expect(judged(gateway("a"))).toEqual({ desired: "Running", observed: "Running", health: "Healthy", tone: undefined });
  expect(judged(gateway("a", { phase: "Starting" })).health).toBe("NotJudged");
  expect(judged(gateway("a", { phase: "CoolingDown" }))).toMatchObject({ observed: "CoolingDown", health: "Unhealthy", tone: "warn" });
  expect(judged(gateway("a", { phase: "CoolingDown", conditions: loop }))).toMatchObject({ health: "CrashLoop", tone: "bad" });
  expect(judged(gateway("a", { phase: "Blocked" }))).toMatchObject({ observed: "Blocked", tone: "bad" });
  expect(judged(gateway("a", { phase: "Stopped", is_enabled: false }))).toMatchObject({ desired: "Stopped", tone: "off" });
});

test("rows stand by market, then priority, whatever their state", () => {
  const vnpy = gateway("v", { kind: "vnpy", dialect: "ctp", priority: 5 });
  expect(ordered({ v: vnpy, z: gateway("z", { priority: 7 }), s: gateway("s", { kind: "sopt" }) }).map((one) => one.id)).toEqual(["v", "z", "s"]);
  expect([kindOf(vnpy), kindOf(gateway("a"))]).toEqual(["VNPY CTP", "CTP"]);
  const all = [gateway("z", { priority: 2 }), gateway("s", { kind: "sopt" }), gateway("b", { priority: 10 }), gateway("a")];
  expect(ordered(Object.fromEntries(all.map((one) => [one.id, one]))).map((one) => one.id)).toEqual(["a", "z", "b", "s"]);
});

test("tries come ever more rarely, up to eight seconds, and never all at once", () => {
  expect([1, 2, 3, 4, 5, 6, 60].map((n) => pause(n, 0.5))).toEqual([500, 1000, 2000, 4000, 8000, 8000, 8000]);
  expect([pause(1, 0), pause(1, 0.999)]).toEqual([375, 625]);
});
