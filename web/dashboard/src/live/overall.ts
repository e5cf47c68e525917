// The whole hub in one word, with its reason. Pure.

import type { Gateway } from "@/api/types";

import type { HubState } from "./state";

export type OverallState = "waiting" | "healthy" | "degraded" | "down" | "closed" | "idle";

export type Reason =
  | { why: "waiting" | "allClosed" | "noneDesired" | "desiredStale" | "desiredSuspicious" | "settingsRefused" }
  | { why: "allWell"; n: number }
  | { why: "noSource" | "noRedundancy" | "silentMarket"; kinds: string; detail: string }
  | { why: "sick"; id: string; message: string; more: number };

export interface Overall {
  state: OverallState;
  reason: Reason;
}

/** Whose contracts it carries, whatever program drives it: what stands in for it carries the same. */
export function marketOf(gateway: Gateway): string {
  return gateway.dialect ?? gateway.kind ?? "";
}

/** What drives it, as people read it; of vnpy's gateways also whose contracts they carry. */
export function kindOf(gateway: Gateway): string {
  const kind = (gateway.kind ?? "").toUpperCase();
  return gateway.kind === "vnpy" && gateway.dialect ? `${kind} ${gateway.dialect.toUpperCase()}` : kind;
}

/** Whether its process is meant to run. */
export function isDesired(gateway: Gateway): boolean {
  return Boolean(gateway.is_enabled) && !gateway.suspended;
}

/** Whether it delivers, as far as can be asked of it. */
export function isWell(gateway: Gateway): boolean {
  return gateway.phase === "Healthy";
}

/** Whether no market of the hub is open, or none of one exchange. */
export function isClosed(hub: HubState, exchange?: string): boolean {
  const { always_open, items } = hub.sections;
  const asked = (items ?? []).filter((item) => exchange === undefined || item.exchange === exchange);
  return !always_open && asked.every((item) => item.phase !== "open" && item.phase !== "auction");
}

/** What whoever looks must know first. */
export function overall(gateways: readonly Gateway[], hub: HubState | null): Overall {
  if (hub === null) return { state: "waiting", reason: { why: "waiting" } };
  const desired = gateways.filter(isDesired);
  const sick = desired.filter((gateway) => !isWell(gateway));
  if (hub.desired.state === "suspicious") return { state: "degraded", reason: { why: "desiredSuspicious" } };
  if (desired.length === 0) return { state: "idle", reason: { why: "noneDesired" } };
  if (isClosed(hub)) return { state: "closed", reason: { why: "allClosed" } };
  const kinds = (of: readonly Gateway[]) => [...new Set(of.map((gateway) => marketOf(gateway).toUpperCase()))].sort();
  const detail = sick.map((gateway) => `${gateway.id} (${gateway.phase})`).join(", ");
  if (hub.silent_markets.length > 0) {
    return { state: "down", reason: { why: "silentMarket", kinds: hub.silent_markets.join(", ").toUpperCase(), detail } };
  }
  const without = kinds(sick).filter((kind) => !desired.some((one) => isWell(one) && marketOf(one).toUpperCase() === kind));
  if (without.length > 0) return { state: "down", reason: { why: "noSource", kinds: without.join(", "), detail } };
  const alone = kinds(sick).filter((kind) => desired.filter((one) => isWell(one) && marketOf(one).toUpperCase() === kind).length === 1);
  if (alone.length > 0) return { state: "degraded", reason: { why: "noRedundancy", kinds: alone.join(", "), detail } };
  const [first] = sick;
  if (first) return { state: "degraded", reason: { why: "sick", id: first.id, message: first.why, more: sick.length - 1 } };
  if (hub.desired.state === "stale") return { state: "degraded", reason: { why: "desiredStale" } };
  if (hub.settings.refused !== null) return { state: "degraded", reason: { why: "settingsRefused" } };
  return { state: "healthy", reason: { why: "allWell", n: desired.length } };
}
