"use client";

import Link from "next/link";
import { useMemo } from "react";

import type { Gateway } from "@/api/types";
import { GatewayActions } from "@/components/gateways/actions";
import { DesiredBadge, HealthBadge, ObservedBadge } from "@/components/gateways/badges";
import { Tag } from "@/components/ui/badge";
import { cn } from "@/components/ui/cn";
import { Empty, Loading, Panel } from "@/components/ui/panel";
import { rowLook, Table, Td, Th } from "@/components/ui/table";
import { asMs, count, DASH, percent, rate } from "@/format/number";
import { seconds, span } from "@/format/time";
import { judged, ordered } from "@/live/judged";
import { useNow } from "@/live/now";
import { isDesired, isWell, kindOf } from "@/live/overall";
import type { Rates } from "@/live/state";
import { useHub } from "@/live/store";
import { useSaid } from "@/words/hub/said";
import { statusWords } from "@/words/status";
import { useWords } from "@/words/words";

/** A value that has not come for so long is dimmed, in an open market. */
const STALE_MS = 5_000;

/** The age of an account's last tick of any canary. */
export function tickAge(id: string, rates: Rates | null): number | null {
  const ages = (rates?.canaries ?? []).map((canary) => canary.by_account[id]).filter((age) => age != null);
  return ages.length > 0 ? Math.min(...ages) : null;
}

/** Where its logs tell why: its newest condition that is not as it should be. */
export function logsHref(gateway: Gateway): string {
  const changed = Math.max(0, ...gateway.conditions.map((condition) => condition.since_ms ?? 0));
  const at = changed > 0 ? `&at_ms=${changed}` : "";
  return `/logs?account=${encodeURIComponent(gateway.id)}&level=${gateway.phase === "Healthy" ? "info" : "warn"}${at}`;
}

function Why({ gateway, isSick }: { gateway: Gateway; isSick: boolean }) {
  const words = useWords(statusWords);
  const said = useSaid();
  if (!isSick) return <span title={gateway.why}>{said(gateway.why)}</span>;
  return (
    <Link href={logsHref(gateway)} prefetch={false} className="text-link hover:underline" title={words.logsOf(gateway.id)}>
      {said(gateway.why)}
    </Link>
  );
}

function Row({ gateway }: { gateway: Gateway }) {
  const { desired, observed, health, tone } = judged(gateway);
  const rates = useHub((hub) => hub.rates?.accounts[gateway.id]);
  const age = useHub((hub) => tickAge(gateway.id, hub.rates));
  const now = useNow();
  const isSick = tone === "warn" || tone === "bad";
  const isRunning = observed === "Running";
  const dim = cn(isRunning && (age ?? 0) < STALE_MS ? "" : "text-stale");
  const wide = "max-wide:hidden";
  return (
    <>
      <tr className={cn(rowLook(tone), "[&>td]:h-9 [&>td]:px-1.5 max-wide:[&>td]:border-b-0")} data-gateway={gateway.id}>
        <Td end className="text-muted">{gateway.priority ?? DASH}</Td>
        <Td>
          <Link href={`/gateway?id=${encodeURIComponent(gateway.id)}`} prefetch={false} className="font-semibold hover:underline">
            {gateway.id}
          </Link>{" "}
          <Tag>{kindOf(gateway)}</Tag>
        </Td>
        <Td className="pl-[13px]!"><DesiredBadge of={desired} /></Td>
        <Td className="pl-[13px]!"><ObservedBadge of={observed} /></Td>
        <Td className="pl-[13px]!"><HealthBadge of={health} /></Td>
        <Td className={wide}><Why gateway={gateway} isSick={isSick} /></Td>
        <Td end className={wide}>{gateway.started_at_ms ? span(now - gateway.started_at_ms) : DASH}</Td>
        <Td end className={dim}>{desired === "Stopped" && !isRunning ? DASH : rate(rates?.ticks_per_s)}</Td>
        <Td end className={cn(dim, wide)}>{percent(rates?.win_share)}</Td>
        <Td end className={cn(dim, wide)}>{asMs(rates?.lag_us_p50)}</Td>
        <Td end className={cn(dim, wide)}>{asMs(rates?.lag_us_p99)}</Td>
        <Td end className={dim}>{desired === "Stopped" && !isRunning ? DASH : seconds(age)}</Td>
        <Td end className={wide}>{count(gateway.restarts ?? null)}</Td>
        <Td end className="overflow-visible"><GatewayActions id={gateway.id} /></Td>
      </tr>
      <tr className={cn("wide:hidden", rowLook(tone))}>
        <Td />
        <Td colSpan={7} className="h-[26px] pb-2 align-top whitespace-normal"><Why gateway={gateway} isSick={isSick} /></Td>
      </tr>
    </>
  );
}

function Head() {
  const words = useWords(statusWords);
  const wide = "max-wide:hidden";
  return (
    <thead>
      <tr className="[&>th]:px-1.5">
        <Th end className="w-8 max-wide:w-7"><span className="sr-only">{words.priority}</span><span aria-hidden>#</span></Th>
        <Th className="w-[136px] max-wide:w-[124px]">{words.gateway}</Th>
        <Th className="w-[98px] pl-[13px]! max-wide:w-[88px]">{words.desired}</Th>
        <Th className="w-[124px] pl-[13px]! max-wide:w-[116px]">{words.observed}</Th>
        <Th className="w-[106px] pl-[13px]! max-wide:w-[100px]">{words.health}</Th>
        <Th className={wide}>{words.why}</Th>
        <Th end className={cn("w-[74px]", wide)}>{words.uptime}</Th>
        <Th end className="w-[56px]">{words.rate}</Th>
        <Th end className={cn("w-[54px]", wide)}>{words.win}</Th>
        <Th end className={cn("w-[60px]", wide)}>{words.lag}</Th>
        <Th end className={cn("w-[48px]", wide)}>{words.p99}</Th>
        <Th end className="w-[72px] max-wide:w-[64px]">{words.age}</Th>
        <Th end className={cn("w-[62px]", wide)}>{words.restarts}</Th>
        <Th end className="w-[108px]">{words.actions}</Th>
      </tr>
    </thead>
  );
}

export function Gateways() {
  const words = useWords(statusWords);
  const gateways = useHub((hub) => hub.gateways);
  const isKnown = useHub((hub) => hub.hub !== null);
  const rows = useMemo(() => ordered(gateways), [gateways]);
  const desired = rows.filter(isDesired);
  return (
    <Panel
      id="gateways"
      title={words.gateways}
      sub={isKnown && words.healthyOf(desired.filter(isWell).length, desired.length)}
      end={<span className="text-12 text-muted max-wide:hidden">{words.explained}</span>}
    >
      {!isKnown && <Loading rows={3} label={words.loading} />}
      {isKnown && rows.length === 0 && (
        <Empty title={words.noAccounts}>
          {words.noAccountsHint} <Link href="/accounts" prefetch={false} className="text-link underline">{words.accountsPage}</Link>
        </Empty>
      )}
      {rows.length > 0 && (
        <Table className="[&_tbody_tr:last-child_td]:border-b-0">
          <Head />
          <tbody>
            {rows.map((gateway) => (
              <Row key={gateway.id} gateway={gateway} />
            ))}
          </tbody>
        </Table>
      )}
    </Panel>
  );
}
