// Rejections by rule and source. Pure.

import type { Gateway } from "@/api/types";

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
