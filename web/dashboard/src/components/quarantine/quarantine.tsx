"use client";

import { Copy } from "lucide-react";
import Link from "next/link";
import { useRouter, useSearchParams } from "next/navigation";
import { useState } from "react";

import { answer, api } from "@/api/client";
import type { RejectedTick } from "@/api/types";
import { Shell } from "@/components/shell/shell";
import { Button } from "@/components/ui/button";
import { Select } from "@/components/ui/field";
import { Empty, Failed, Loading, Panel } from "@/components/ui/panel";
import { Search } from "@/components/ui/search";
import { rowLook, Table, Td, Th } from "@/components/ui/table";
import { count } from "@/format/number";
import { clockMs, day } from "@/format/time";
import { useAsked } from "@/live/asked";
import { quarantineWords } from "@/words/quarantine";
import { useWords } from "@/words/words";

import { counted, type RuleCounts } from "./counts";

const EVERY_MS = 2_000;
const LIMIT = 200;

interface Filter {
  rule: string;
  source: string;
  vt_symbol: string;
}

function RuleTable({ rules, sources, chosen, onChoose }: { rules: RuleCounts[]; sources: string[]; chosen: string; onChoose: (rule: string) => void }) {
  const words = useWords(quarantineWords);
  return (
    <Table className="[&_tbody_tr:last-child_td]:border-b-0">
      <thead>
        <tr>
          <Th>{words.rule}</Th>
          {sources.map((source) => (
            <Th key={source} end>{source}</Th>
          ))}
          <Th end>{words.total}</Th>
        </tr>
      </thead>
      <tbody>
        {rules.map(({ rule, by, total }) => (
          <tr key={rule} className={rowLook(rule === chosen ? "selected" : undefined)}>
            <Td>
              <button type="button" aria-pressed={rule === chosen} onClick={() => onChoose(rule === chosen ? "" : rule)} className="font-mono text-12 hover:underline">{rule}</button>
            </Td>
            {sources.map((source) => (
              <Td key={source} end className={by[source] ? undefined : "text-muted"}>{count(by[source] ?? 0)}</Td>
            ))}
            <Td end className="font-semibold">{count(total)}</Td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}

const key = (tick: RejectedTick) => `${tick.read_at_ms} ${tick.source} ${tick.vt_symbol} ${tick.reason}`;

function TickTable({ ticks, chosen, onChoose }: { ticks: RejectedTick[]; chosen: RejectedTick | null; onChoose: (tick: RejectedTick) => void }) {
  const words = useWords(quarantineWords);
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
            <tr key={`${key(tick)} ${index}`} data-rule={tick.rule} className={rowLook(chosen !== null && key(chosen) === key(tick) ? "selected" : undefined)}>
              <Td>
                <button type="button" onClick={() => onChoose(tick)} className="text-link hover:underline">{clockMs(tick.read_at_ms)}</button>
              </Td>
              <Td>{tick.vt_symbol ?? "—"}</Td>
              <Td>{tick.source ?? "—"}</Td>
              <Td className="font-mono text-12">{tick.rule}</Td>
              <Td title={tick.reason}>{tick.reason}</Td>
            </tr>
          ))}
        </tbody>
      </Table>
    </div>
  );
}

function TickPanel({ tick }: { tick: RejectedTick | null }) {
  const words = useWords(quarantineWords);
  if (tick === null) {
    return (
      <Panel id="tick" title={words.raw}>
        <Empty title={words.pick} />
      </Panel>
    );
  }
  const raw = typeof tick.raw === "object" && tick.raw !== null ? Object.entries(tick.raw as Record<string, unknown>) : [];
  const text = JSON.stringify(tick, null, 2);
  return (
    <Panel
      id="tick"
      title={tick.vt_symbol ?? tick.rule}
      sub={`${day(tick.read_at_ms)} ${clockMs(tick.read_at_ms)}`}
      end={
        <Button size="s" look="ghost" onClick={() => void navigator.clipboard.writeText(text)}>
          <Copy className="size-3.5" aria-hidden />
          {words.copy}
        </Button>
      }
    >
      <div className="border-b border-border p-3">
        <p className="font-mono text-12 font-semibold">{tick.rule}</p>
        <p className="mt-1">{tick.reason}</p>
        {tick.source && (
          <p className="mt-2 flex gap-4 text-12">
            <Link href={`/gateway?id=${encodeURIComponent(tick.source)}`} prefetch={false} className="text-link hover:underline">{words.gateway}</Link>
            <Link href={`/logs?account=${encodeURIComponent(tick.source)}&at_ms=${tick.read_at_ms}`} prefetch={false} className="text-link hover:underline">{words.logs}</Link>
          </p>
        )}
      </div>
      <h3 className="px-3 pt-3 text-12 font-semibold">{words.raw}</h3>
      <dl tabIndex={0} aria-label={words.raw} className="m-3 min-h-0 overflow-auto rounded-m border border-edge bg-inset px-3 py-2 font-mono text-12 leading-[18px]">
        {raw.map(([name, value]) => (
          <div key={name} className="grid grid-cols-[minmax(110px,auto)_minmax(0,1fr)] gap-3">
            <dt className="text-muted">{name}</dt>
            <dd className="text-right break-all">{typeof value === "string" ? `"${value}"` : JSON.stringify(value)}</dd>
          </div>
        ))}
      </dl>
    </Panel>
  );
}

/** What was rejected, by which rule, and as the vendor wrote it. */
export function Quarantine() {
  const words = useWords(quarantineWords);
  const router = useRouter();
  const asked = useSearchParams();
  const filter: Filter = { rule: asked.get("rule") ?? "", source: asked.get("source") ?? "", vt_symbol: asked.get("vt_symbol") ?? "" };
  const [chosen, setChosen] = useState<RejectedTick | null>(null);
  const show = (change: Partial<Filter>) => {
    const next = new URLSearchParams(Object.entries({ ...filter, ...change }).filter(([, value]) => value !== ""));
    router.replace(next.size > 0 ? `/quarantine?${next}` : "/quarantine", { scroll: false });
  };
  const { data, error } = useAsked(JSON.stringify(filter), EVERY_MS, async () => {
    // A contract that is half typed names none yet.
    const query = Object.fromEntries(Object.entries(filter).filter(([name, value]) => value !== "" && (name !== "vt_symbol" || /^[\w-]+\.[A-Z]+$/.test(value))));
    const [ticks, gateways] = await Promise.all([answer(api.GET("/api/quarantine", { params: { query: { ...query, limit: LIMIT } } })), answer(api.GET("/api/gateways"))]);
    return { ...ticks, ...counted(gateways.items) };
  });
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
        <div className="grid min-h-0 flex-1 grid-cols-[minmax(0,1fr)_424px] gap-3 max-wide:grid-cols-1 max-wide:flex-none">
          <div className="flex min-h-0 min-w-0 flex-col gap-3">
            <Panel id="rules" title={words.byRule} sub={words.byRuleSub}>
              <RuleTable rules={data.rules} sources={data.sources} chosen={filter.rule} onChoose={(rule) => show({ rule })} />
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
              {data.items.length === 0 ? <Empty title={words.noMatch} /> : <TickTable ticks={data.items} chosen={chosen} onChoose={setChosen} />}
            </Panel>
          </div>
          <TickPanel tick={chosen} />
        </div>
      )}
    </Shell>
  );
}
