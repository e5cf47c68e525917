// Rejections by rule and source. Pure.

import type { Gateway, RejectedTick } from "@/api/types";

export interface RuleCounts {
  rule: string;
  /** By account. */
  by: Record<string, number>;
  total: number;
}

/** The rules by which anything was rejected, the busiest first, and the accounts whose ticks were. */
export function counted(gateways: readonly Gateway[]): { rules: RuleCounts[]; sources: string[] } {
  const rules = new Map<string, RuleCounts>();
  const sources: string[] = [];
  for (const gateway of gateways) {
    const counters = gateway.counters as { rejected_by_rule?: { rule: string; ticks: number }[] } | null | undefined;
    if (!counters) continue;
    sources.push(gateway.id);
    for (const { rule, ticks } of counters.rejected_by_rule ?? []) {
      const row = rules.get(rule) ?? { rule, by: {}, total: 0 };
      row.by[gateway.id] = ticks;
      row.total += ticks;
      rules.set(rule, row);
    }
  }
  const busy = [...rules.values()].filter((row) => row.total > 0).sort((a, b) => b.total - a.total || (a.rule < b.rule ? -1 : 1));
  return { rules: busy, sources: sources.sort() };
}

const MINUTE_MS = 60_000;
export const MINUTES = 30;

export interface OverTime {
  /** Ticks in each of the last minutes, the newest last; null where more were rejected than are told. */
  minutes: (number | null)[];
  lastMs: number;
}

/** When the ticks of each rule were rejected: of the newest ones, newest first, of which `hasMore` says whether there are older. */
export function overTime(ticks: readonly RejectedTick[], nowMs: number, hasMore: boolean): Record<string, OverTime> {
  const minute = (ms: number) => Math.floor(ms / MINUTE_MS);
  const first = minute(nowMs) - MINUTES + 1;
  const oldest = ticks.at(-1);
  const known = hasMore && oldest ? minute(oldest.read_at_ms) + 1 : 0;
  const rules: Record<string, OverTime> = {};
  for (const tick of ticks) {
    const rule = (rules[tick.rule] ??= { minutes: Array.from({ length: MINUTES }, (_, n) => (first + n < known ? null : 0)), lastMs: tick.read_at_ms });
    const at = minute(tick.read_at_ms) - first;
    const before = rule.minutes[at];
    if (before != null) rule.minutes[at] = before + 1;
  }
  return rules;
}

/** What names a tick in an address. */
export const nameOf = (tick: RejectedTick) => [tick.read_at_ms, tick.source, tick.vt_symbol].filter((part) => part != null).join(" ");

/** A record's fields one by one; what is within a list by its place, counted from one. */
export function flat(raw: unknown, within = ""): [string, string][] {
  if (typeof raw !== "object" || raw === null) return [[within, JSON.stringify(raw) ?? ""]];
  const names = Array.isArray(raw) ? raw.map((value: unknown, index): [string, unknown] => [String(index + 1), value]) : Object.entries(raw);
  return names.flatMap(([name, value]) => flat(value, within === "" ? name : `${within}.${name}`));
}
