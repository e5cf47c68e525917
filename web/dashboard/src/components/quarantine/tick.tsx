import { ChevronLeft, ChevronRight, Copy } from "lucide-react";
import Link from "next/link";

import type { RejectedTick } from "@/api/types";
import { Button, IconButton } from "@/components/ui/button";
import { Empty, Panel } from "@/components/ui/panel";
import { DASH } from "@/format/number";
import { clockMs, day } from "@/format/time";
import { useSaid } from "@/words/hub/said";
import { quarantineWords } from "@/words/quarantine";
import { useWords } from "@/words/words";

import { flat } from "./counts";

/** The published tick that it was compared with, beside its own values. */
function Compared({ last, raw }: { last: NonNullable<RejectedTick["last"]>; raw: Record<string, unknown> }) {
  const words = useWords(quarantineWords);
  const rows: [string, string, unknown][] = [
    [words.exchangeTime, `${day(last.exchange_time_ms)} ${clockMs(last.exchange_time_ms)}`, raw["update_time"] ? `${raw["update_time"]}.${String(raw["update_ms"]).padStart(3, "0")}` : null],
    ["trading_day", String(last.trading_day), raw["trading_day"]],
    ["volume", String(last.volume), raw["volume"]],
    ["turnover", String(last.turnover ?? DASH), raw["turnover"]],
    ["last_price", String(last.last_price ?? DASH), raw["last_price"]],
  ];
  return (
    <div className="border-b border-border p-3">
      <table aria-label={words.compared} className="w-full border-collapse text-12">
        <thead>
          <tr className="text-11 text-muted">
            <th scope="col" className="text-left font-medium">{words.field}</th>
            <th scope="col" className="text-right font-medium">{words.publishedBefore}</th>
            <th scope="col" className="text-right font-medium">{words.thisTick}</th>
          </tr>
        </thead>
        <tbody className="font-mono">
          {rows.map(([name, before, own]) => (
            <tr key={name} data-compared={name}>
              <th scope="row" className="text-left font-normal text-muted">{name}</th>
              <td className="text-right">{before}</td>
              <td className="text-right">{own == null ? DASH : String(own)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** What the vendor wrote, beside why it was not believed. */
export function TickPanel({ tick, newer, older }: { tick: RejectedTick | null; newer: (() => void) | undefined; older: (() => void) | undefined }) {
  const words = useWords(quarantineWords);
  const said = useSaid();
  if (tick === null) {
    return (
      <Panel id="tick" title={words.raw}>
        <Empty title={words.pick} />
      </Panel>
    );
  }
  const raw = flat(tick.raw);
  const text = JSON.stringify(tick, null, 2);
  return (
    <Panel
      id="tick"
      title={tick.vt_symbol ?? tick.rule}
      className="min-h-0"
      sub={`${day(tick.read_at_ms)} ${clockMs(tick.read_at_ms)}`}
      end={
        <>
          <IconButton label={words.newer} impossible={newer ? undefined : words.isNewest} onClick={newer}>
            <ChevronLeft className="size-4" aria-hidden />
          </IconButton>
          <IconButton label={words.olderTick} impossible={older ? undefined : words.isOldest} onClick={older}>
            <ChevronRight className="size-4" aria-hidden />
          </IconButton>
          <Button size="s" look="ghost" onClick={() => void navigator.clipboard.writeText(text)}>
            <Copy className="size-3.5" aria-hidden />
            {words.copy}
          </Button>
        </>
      }
    >
      <div className="border-b border-border p-3">
        <p className="font-mono text-12 font-semibold">{tick.rule}</p>
        <p className="mt-1">{said(tick.reason)}</p>
        {tick.source && (
          <p className="mt-2 flex gap-4 text-12">
            <Link href={`/gateway?id=${encodeURIComponent(tick.source)}`} prefetch={false} className="text-link hover:underline">{words.gateway}</Link>
            <Link href={`/logs?account=${encodeURIComponent(tick.source)}&at_ms=${tick.read_at_ms}`} prefetch={false} className="text-link hover:underline">{words.logs}</Link>
          </p>
        )}
      </div>
      {tick.last && <Compared last={tick.last} raw={tick.raw as Record<string, unknown>} />}
      <h3 className="px-3 pt-3 text-12 font-semibold">{words.raw}</h3>
      <dl tabIndex={0} aria-label={words.raw} className="m-3 min-h-0 overflow-auto rounded-m border border-edge bg-inset px-3 py-2 font-mono text-12 leading-[18px]">
        {raw.map(([name, value]) => (
          <div key={name} className="grid grid-cols-[minmax(110px,auto)_minmax(0,1fr)] gap-3">
            <dt className="text-muted">{name}</dt>
            <dd className="text-right break-all">{value}</dd>
          </div>
        ))}
      </dl>
    </Panel>
  );
}
