// Whether all is ready for the next section. Pure.

import type { Account, Gateway } from "@/api/types";
import { sharing } from "@/components/accounts/pure";
import { isClosed, isDesired, marketOf } from "@/live/overall";
import type { HubState } from "@/live/state";

/** From so long before a section the card is shown by itself. */
export const AHEAD_MS = 30 * 60_000;
/** A calendar that ends sooner is to be lengthened. */
const DAYS_LEFT_MIN = 30;

export type Grade = "ok" | "warn" | "bad";

export interface Coverage {
  desired: number;
  acknowledged: number;
}

export interface Report {
  /** How many of those that are to run are logged in, and who is not. */
  logins: { grade: Grade; in: number; of: number; out: string[] };
  /** Contracts that fronts have accepted, of those wanted; null before that is known. */
  coverage: { grade: Grade; acknowledged: number; desired: number } | null;
  /** Days that the calendar knows; null where the market never closes. */
  calendar: { grade: Grade; daysLeft: number | null };
  /** Markets with one source alone, and accounts that share a front. */
  sources: { grade: Grade; alone: string[]; shared: string[] };
}

function isLoggedIn(gateway: Gateway): boolean {
  return gateway.conditions.some((condition) => condition.type === "LoggedIn" && condition.status === "True");
}

export function report(gateways: readonly Gateway[], accounts: readonly Account[], hub: HubState, coverage: Coverage | null): Report {
  const desired = gateways.filter(isDesired);
  const out = desired.filter((gateway) => !isLoggedIn(gateway)).map((gateway) => gateway.id);
  const markets = [...new Set(desired.map(marketOf))].sort();
  const of = (market: string) => desired.filter((gateway) => marketOf(gateway) === market);
  const isWithout = markets.some((market) => of(market).every((gateway) => out.includes(gateway.id)));
  const alone = markets.filter((market) => of(market).length === 1).map((market) => market.toUpperCase());
  const marketOfAccount = new Map(gateways.map((gateway) => [gateway.id, marketOf(gateway)]));
  const isOf = (market: string) => (account: Account) => (marketOfAccount.get(account.id) ?? account.gateway) === market;
  const shared = [...new Set(markets.flatMap((market) => sharing(accounts.filter(isOf(market)))))];
  const daysLeft = hub.sections.always_open ? null : (hub.sections.calendar_days_left ?? null);
  const lacks = coverage === null ? 0 : coverage.desired - coverage.acknowledged;
  return {
    logins: { grade: desired.length === 0 || isWithout ? "bad" : out.length > 0 ? "warn" : "ok", in: desired.length - out.length, of: desired.length, out },
    coverage: coverage && { grade: lacks > 0 ? "warn" : "ok", acknowledged: coverage.acknowledged, desired: coverage.desired },
    calendar: { grade: daysLeft === null || daysLeft >= DAYS_LEFT_MIN ? "ok" : daysLeft >= 0 ? "warn" : "bad", daysLeft },
    sources: { grade: shared.length > 0 || alone.length > 0 ? "warn" : "ok", alone, shared },
  };
}

/** When the next section begins, where none is open and it is soon; null otherwise. */
export function opensSoon(hub: HubState, nowMs: number): number | null {
  if (!isClosed(hub)) return null;
  const opens = (hub.sections.items ?? []).flatMap((item) => (item.until_ms === null ? [] : [item.until_ms]));
  const next = opens.length > 0 ? Math.min(...opens) : null;
  return next !== null && next - nowMs <= AHEAD_MS ? next : null;
}
