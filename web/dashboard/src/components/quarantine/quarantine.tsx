"use client";

import { useRouter, useSearchParams } from "next/navigation";
import { useState } from "react";

import { answer, api } from "@/api/client";
import type { RejectedTick } from "@/api/types";
import { Shell } from "@/components/shell/shell";
import { Select } from "@/components/ui/field";
import { Empty, Failed, Loading, Panel } from "@/components/ui/panel";
import { Search } from "@/components/ui/search";
import { rowLook, Table, Td, Th } from "@/components/ui/table";
import { count } from "@/format/number";
import { clockMs } from "@/format/time";
import { useAsked } from "@/live/asked";
import { useSaid } from "@/words/hub/said";
import { quarantineWords } from "@/words/quarantine";
import { useWords } from "@/words/words";

import { counted, nameOf, overTime } from "./counts";
import { RuleTable } from "./rules";
import { TickPanel } from "./tick";

const EVERY_MS = 2_000;
const LIMIT = 200;
/** The counts over time: of so many, at a calmer pace. */
const OVER_TIME_EVERY_MS = 10_000;
const OVER_TIME_LIMIT = 500;

interface Filter {
  rule: string;
  source: string;
  vt_symbol: string;
}

function TickTable({ ticks, chosen, onChoose }: { ticks: RejectedTick[]; chosen: string; onChoose: (tick: RejectedTick) => void }) {
  const words = useWords(quarantineWords);
  const said = useSaid();
  return (
    <div className="min-h-0 flex-1 overflow-auto">
      <Table>
        <thead>
          <tr className="[&>th]:sticky [&>th]:top-0 [&>th]:bg-panel">
            <Th className="w-[104px]">{words.received}</Th>
            <Th className="w-[140px]">{words.contract}</Th>
            <Th className="w-[110px]">{words.source}</Th>
            <Th className="w-[160px]">{words.rule}</Th>
            <Th>{words.reason}</Th>
          </tr>
        </thead>
        <tbody>
          {ticks.map((tick, index) => (
            <tr key={`${nameOf(tick)} ${index}`} data-rule={tick.rule} className={rowLook(chosen === nameOf(tick) ? "selected" : undefined)}>
              <Td>
                <button type="button" onClick={() => onChoose(tick)} className="text-link hover:underline">{clockMs(tick.read_at_ms)}</button>
              </Td>
              <Td>{tick.vt_symbol ?? "—"}</Td>
              <Td>{tick.source ?? "—"}</Td>
              <Td className="font-mono text-12">{tick.rule}</Td>
              <Td title={tick.reason}>{said(tick.reason)}</Td>
            </tr>
          ))}
        </tbody>
      </Table>
    </div>
  );
}

/** What was rejected, by which rule, and as the vendor wrote it. */
export function Quarantine() {
  const words = useWords(quarantineWords);
  const router = useRouter();
  const asked = useSearchParams();
  const filter: Filter = { rule: asked.get("rule") ?? "", source: asked.get("source") ?? "", vt_symbol: asked.get("vt_symbol") ?? "" };
  const name = asked.get("tick") ?? "";
  // It stays in sight when newer ones have pushed it out of the list.
  const [held, setHeld] = useState<RejectedTick | null>(null);
  const show = (change: Partial<Filter & { tick: string }>) => {
    const next = new URLSearchParams(Object.entries({ ...filter, tick: name, ...change }).filter(([, value]) => value !== ""));
    router.replace(next.size > 0 ? `/quarantine?${next}` : "/quarantine", { scroll: false });
  };
  const { data, error } = useAsked(JSON.stringify(filter), EVERY_MS, async () => {
    // A contract that is half typed names none yet.
    const query = Object.fromEntries(Object.entries(filter).filter(([name, value]) => value !== "" && (name !== "vt_symbol" || /^[\w-]+\.[A-Z]+$/.test(value))));
    const [ticks, gateways] = await Promise.all([answer(api.GET("/api/quarantine", { params: { query: { ...query, limit: LIMIT } } })), answer(api.GET("/api/gateways"))]);
    return { ...ticks, ...counted(gateways.items) };
  });
  // At once again when another rule has rejected something.
  const over = useAsked(`over time ${data?.rules.length ?? 0}`, OVER_TIME_EVERY_MS, async () => {
    const { items, kept } = await answer(api.GET("/api/quarantine", { params: { query: { limit: OVER_TIME_LIMIT } } }));
    return overTime(items, Date.now(), kept > items.length);
  });
  const items = data?.items ?? [];
  const at = items.findIndex((tick) => nameOf(tick) === name);
  const chosen = items[at] ?? (held !== null && nameOf(held) === name ? held : null);
  const choose = (tick: RejectedTick) => {
    setHeld(tick);
    show({ tick: nameOf(tick) });
  };
  const step = (by: number) => {
    const to = at < 0 ? undefined : items[at + by];
    return to && (() => choose(to));
  };
  return (
    <Shell page="quarantine" title={words.title}>
      <div className="flex min-h-8 flex-wrap items-center gap-3">
        <span aria-hidden className="text-16 font-semibold">{words.title}</span>
        {data && <span className="text-muted">{words.summary(count(data.total), count(data.kept))}</span>}
      </div>
      {error !== null && <Failed title={words.failed}>{error.message}</Failed>}
      {data === null && error === null && <Loading rows={5} label={words.loading} />}
      {data?.total === 0 && <Empty title={words.none}>{words.noneHint}</Empty>}
      {data !== null && data.total > 0 && (
        <div className="grid min-h-0 flex-1 grid-cols-[minmax(0,1fr)_424px] grid-rows-[minmax(0,1fr)] gap-3 max-wide:grid-cols-1 max-wide:grid-rows-none max-wide:flex-none">
          <div className="flex min-h-0 min-w-0 flex-col gap-3">
            <Panel id="rules" title={words.byRule} sub={words.byRuleSub}>
              <RuleTable rules={data.rules} sources={data.sources} over={over.data ?? {}} chosen={filter.rule} onChoose={(rule) => show({ rule })} />
            </Panel>
            <Panel
              id="ticks"
              title={words.ticks}
              sub={words.newest}
              className="min-h-72 flex-1"
              end={
                <>
                  <Select label={words.source} value={filter.source} onChange={(event) => show({ source: event.target.value })}>
                    <option value="">{words.allSources}</option>
                    {data.sources.map((source) => (
                      <option key={source}>{source}</option>
                    ))}
                  </Select>
                  <Search label={words.contract} className="w-44" text={filter.vt_symbol} onChange={(vt_symbol) => show({ vt_symbol })} />
                </>
              }
            >
              {data.items.length === 0 ? <Empty title={words.noMatch} /> : <TickTable ticks={data.items} chosen={name} onChoose={choose} />}
            </Panel>
          </div>
          <TickPanel tick={chosen} newer={step(-1)} older={step(1)} />
        </div>
      )}
    </Shell>
  );
}
