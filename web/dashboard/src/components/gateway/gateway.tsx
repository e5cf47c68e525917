"use client";

import Link from "next/link";
import { useSearchParams } from "next/navigation";

import { answer, api } from "@/api/client";
import type { Gateway } from "@/api/types";
import { GatewayActions } from "@/components/gateways/actions";
import { DesiredBadge, HealthBadge, ObservedBadge } from "@/components/gateways/badges";
import { Shell } from "@/components/shell/shell";
import { Tag } from "@/components/ui/badge";
import { cn } from "@/components/ui/cn";
import { Empty, Failed, Loading } from "@/components/ui/panel";
import { Stat, Stats } from "@/components/ui/stat";
import { asMs, count, percent, rate } from "@/format/number";
import { seconds, span } from "@/format/time";
import { useAsked } from "@/live/asked";
import { judged } from "@/live/judged";
import { isClosed, kindOf } from "@/live/overall";
import { useNow } from "@/live/now";
import { useHub } from "@/live/store";
import { gatewayPageWords } from "@/words/gateway";
import { useSaid } from "@/words/hub/said";
import { useWords } from "@/words/words";

import { Conditions, Lives } from "./conditions";
import type { Counters } from "./counters";
import { Exchanges } from "./exchanges";
import { Lag } from "./lag";
import { GatewayLog } from "./log";

const EVERY_MS = 2_000;
/** A value that is older is dimmed while a market is open. */
const STALE_MS = 5_000;

function Head({ gateway }: { gateway: Gateway }) {
  const said = useSaid();
  const { desired, observed, health } = judged(gateway);
  return (
    <div className="flex min-h-8 flex-wrap items-center gap-x-5 gap-y-2">
      <span aria-hidden className="text-16 font-semibold">{gateway.id}</span>
      <Tag>{kindOf(gateway)}</Tag>
      <DesiredBadge of={desired} />
      <ObservedBadge of={observed} />
      <HealthBadge of={health} />
      <span className="min-w-0 flex-1 truncate" title={gateway.why}>{said(gateway.why)}</span>
      <GatewayActions id={gateway.id} />
    </div>
  );
}

function Numbers({ gateway, counters }: { gateway: Gateway; counters: Counters | null }) {
  const words = useWords(gatewayPageWords);
  const rates = useHub((hub) => hub.rates?.accounts[gateway.id]);
  const now = useNow();
  const age = rates?.last_tick_age_ms ?? null;
  const isOpen = useHub((hub) => hub.hub !== null && !isClosed(hub.hub));
  const raced = rates ? rates.forwarded + rates.duplicate : null;
  return (
    <Stats label={words.numbers}>
      <Stat label={words.ticksIn} unit={words.perS} context={gateway.started_at_ms ? words.since(span(now - gateway.started_at_ms)) : words.noProcess}>{rate(rates?.ticks_per_s)}</Stat>
      <Stat label={words.win} unit="%" context={words.winOf(count(raced))}>{percent(rates?.win_share)}</Stat>
      <Stat label={words.lag} unit={words.ms}>{`${asMs(rates?.lag_us_p50)} / ${asMs(rates?.lag_us_p99)}`}</Stat>
      <Stat label={words.lastTick} unit={words.s} context={words.anyContract}>
        <span className={cn(isOpen && age !== null && age > STALE_MS && "text-stale")}>{seconds(age)}</span>
      </Stat>
      <Stat label={words.published} context={words.received(count(rates?.received))}>{count(rates?.forwarded)}</Stat>
      <Stat label={words.late} context={words.lateHint}>{count(counters?.late ?? rates?.late)}</Stat>
      <Stat label={words.rejected} tone={(rates?.rejected ?? 0) > 0 ? "warn" : undefined}>{count(rates?.rejected)}</Stat>
      <Stat label={words.restarts}>{count(gateway.restarts)}</Stat>
    </Stats>
  );
}

/** All about one gateway. */
export function GatewayPage() {
  const words = useWords(gatewayPageWords);
  const id = useSearchParams().get("id") ?? "";
  const gateway = useHub((hub) => hub.gateways[id]);
  const isKnown = useHub((hub) => hub.hub !== null);
  const exists = gateway !== undefined;
  const { data, error } = useAsked(`gateway ${id} ${exists}`, EVERY_MS, async () => (exists ? answer(api.GET("/api/gateways/{id}", { params: { path: { id } } })) : null));
  const counters = (data?.counters ?? null) as Counters | null;
  return (
    <Shell page={null} title={words.title(id)}>
      {!isKnown && <Loading rows={6} label={words.loading} />}
      {isKnown && !gateway && (
        <Empty title={words.noSuch(id)}>
          {words.noSuchHint} <Link href="/accounts" prefetch={false} className="text-link underline">{words.accounts}</Link>
        </Empty>
      )}
      {gateway && (
        <>
          <Head gateway={gateway} />
          {error !== null && <Failed title={words.failed}>{error.message}</Failed>}
          <Numbers gateway={gateway} counters={counters} />
          <div className="grid grid-cols-[minmax(0,1fr)_452px] items-start gap-3 max-wide:grid-cols-1">
            <div className="flex min-w-0 flex-col gap-3">
              <Conditions gateway={gateway} />
              <GatewayLog gateway={gateway} />
            </div>
            <div className="flex min-w-0 flex-col gap-3">
              <Lives gateway={gateway} />
              <Lag counters={counters} />
              <Exchanges key={gateway.id} gateway={gateway} />
            </div>
          </div>
        </>
      )}
    </Shell>
  );
}
