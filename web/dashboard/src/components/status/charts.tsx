"use client";

import { type ReactNode, useMemo } from "react";

import { cn } from "@/components/ui/cn";
import { Panel } from "@/components/ui/panel";
import { Sparkline } from "@/components/ui/sparkline";
import { DASH, rate } from "@/format/number";
import type { Series } from "@/live/history";
import { ordered } from "@/live/judged";
import { isDesired } from "@/live/overall";
import { history, useHub } from "@/live/store";
import { statusWords } from "@/words/status";
import { useWords } from "@/words/words";

/** More than that would not fit beside the timeline; the gateway pages have their own. */
const ACCOUNTS_SHOWN = 4;

function Chart(props: { name: string; unit: string; series: Series[]; label: string; now: ReactNode; most: string }) {
  return (
    <div className="grid min-h-[52px] flex-1 grid-cols-[88px_minmax(0,1fr)_88px] items-center gap-3 border-b border-border px-3 last:border-b-0">
      <dt className="truncate text-12">
        {props.name}
        <span className="block text-11 text-muted">{props.unit}</span>
      </dt>
      <dd>
        <Sparkline series={props.series} label={props.label} />
      </dd>
      <dd className="text-right text-14 font-medium whitespace-nowrap">
        {props.now}
        <span className="block text-11 font-normal text-muted">{props.most}</span>
      </dd>
    </div>
  );
}

function Key({ colour, children }: { colour: string; children: string }) {
  return (
    <span className="inline-flex items-center gap-[5px] text-11 text-muted">
      <i className={cn("h-0.5 w-2.5", colour)} aria-hidden />
      {children}
    </span>
  );
}

export function Charts() {
  const words = useWords(statusWords);
  const rates = useHub((hub) => hub.rates);
  const gateways = useHub((hub) => hub.gateways);
  const ids = useMemo(() => ordered(gateways).filter(isDesired).slice(0, ACCOUNTS_SHOWN).map((gateway) => gateway.id), [gateways]);
  const published = history.of("published");
  const [p99, p50] = [history.of("latency_p99"), history.of("latency_p50")];
  const now = rate(rates?.hub.ticks_per_s);
  const latency = rates?.hub.latency_us_p50 == null ? DASH : `${rate(rates.hub.latency_us_p50)} / ${rate(rates.hub.latency_us_p99)}`;
  return (
    <Panel
      id="charts"
      title={words.last30}
      className="flex-1"
      end={
        <>
          <Key colour="bg-c1">p99</Key>
          <Key colour="bg-c2">p50</Key>
        </>
      }
    >
      <dl className="flex flex-1 flex-col">
        <Chart name={words.published} unit={words.ticksPerS} series={[published]} now={now} most={words.max(rate(published.max))} label={words.sparkOf(words.published, now, rate(published.max))} />
        <Chart name={words.latency} unit={words.latencyUnit} series={[p99, p50]} now={latency} most={words.p99Max(rate(p99.max))} label={words.sparkOf(words.latency, latency, rate(p99.max))} />
        {ids.map((id) => {
          const series = history.of(`in:${id}`);
          const value = rate(rates?.accounts[id]?.ticks_per_s);
          return <Chart key={id} name={id} unit={words.ticksIn} series={[series]} now={value} most={words.max(rate(series.max))} label={words.sparkOf(id, value, rate(series.max))} />;
        })}
      </dl>
    </Panel>
  );
}
