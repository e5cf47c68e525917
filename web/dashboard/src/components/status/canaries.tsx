"use client";

import { CircleAlert, CircleCheck, Moon } from "lucide-react";

import { answer, api } from "@/api/client";
import type { Canary } from "@/api/types";
import { Badge } from "@/components/ui/badge";
import { cn } from "@/components/ui/cn";
import { price, rate } from "@/format/number";
import { seconds } from "@/format/time";
import { useAsked } from "@/live/asked";
import { useHub } from "@/live/store";
import { canaryWords } from "@/words/canaries";
import { useWords } from "@/words/words";

const EVERY_MS = 1_000;
/** A source that brought nothing of the exchange for so long does not count as one that brings it. */
const SOURCE_MS = 10_000;

const BARS: Record<Canary["minutes"][number]["state"], string> = {
  full: "h-[18px] bg-ok-bar",
  gap: "h-3 bg-warn",
  silent: "h-[7px] bg-bad",
  closed: "h-[3px] bg-idle",
  down: "h-[18px] border border-border-strong",
};

function Heartbeat({ canary }: { canary: Canary }) {
  const words = useWords(canaryWords);
  const n = (state: string) => canary.minutes.filter((minute) => minute.state === state).length;
  const text = words.heartbeat(canary.vt_symbol, n("full"), n("gap") + n("silent"), n("closed"), n("down"));
  return (
    <div role="img" tabIndex={0} aria-label={text} title={text} className="flex h-[18px] items-end gap-px">
      {canary.minutes.map((minute) => (
        <i key={minute.at_ms} className={cn("flex-1 rounded-[1px]", BARS[minute.state])} />
      ))}
    </div>
  );
}

function Card({ canary }: { canary: Canary }) {
  const words = useWords(canaryWords);
  const desired = useHub((hub) => Object.values(hub.gateways).filter((one) => one.is_enabled && !one.suspended && canary.exchange in one.exchanges).length);
  const [symbol, exchange] = canary.vt_symbol.split(/\.(?=[^.]*$)/);
  const bring = canary.sources.filter((source) => source.age_ms < SOURCE_MS).length;
  const isStale = canary.state === "stale";
  return (
    <article data-canary={canary.vt_symbol} className={cn("min-w-0 rounded-m border border-border bg-panel px-2.5 pt-2 pb-2", isStale && "border-bad-edge shadow-[inset_0_2px_0_var(--bad)]")}>
      <div className="flex h-[18px] items-center justify-between gap-1">
        <h2 className="truncate text-13 font-semibold">
          {symbol}
          <span className="text-11 font-normal text-muted">.{exchange}</span>
        </h2>
        {canary.state === "active" && <Badge tone="ok" icon={CircleCheck} className="h-4 text-11">{words.active}</Badge>}
        {isStale && <Badge tone="bad" icon={CircleAlert} className="ml-0 h-[18px] text-11">{words.stale}</Badge>}
        {canary.state === "closed" && <Badge tone="idle" icon={Moon} className="h-4 text-11">{words.closed}</Badge>}
      </div>
      <div className="mt-1 mb-1.5 flex items-baseline justify-between">
        <span className={cn("text-20 font-medium", canary.state !== "active" && "text-muted")}>{price(canary.last_price)}</span>
        <span className={cn("text-12", isStale ? "font-semibold text-bad-text" : "text-muted")}>{canary.last_tick_age_ms == null ? words.noTick : `${seconds(canary.last_tick_age_ms)} s`}</span>
      </div>
      <Heartbeat canary={canary} />
      <div className="mt-1.5 flex justify-between text-11 text-muted">
        <span>{words.rate(rate(canary.ticks_per_s))}</span>
        {canary.state !== "closed" && <span className={bring < desired ? "text-text" : ""}>{words.sources(bring, Math.max(desired, bring))}</span>}
      </div>
    </article>
  );
}

/** What always ticks while its market is open: whether it does. */
export function Canaries() {
  const words = useWords(canaryWords);
  const { data } = useAsked("canaries", EVERY_MS, () => answer(api.GET("/api/canaries")));
  if (data?.items.length === 0) return null;
  return (
    <section aria-label={words.canaries} className="grid min-h-[111px] flex-none grid-cols-[repeat(auto-fill,minmax(160px,1fr))] gap-2">
      {(data?.items ?? []).map((canary) => (
        <Card key={canary.vt_symbol} canary={canary} />
      ))}
    </section>
  );
}
