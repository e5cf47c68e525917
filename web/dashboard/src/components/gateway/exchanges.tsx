"use client";

import { Info } from "lucide-react";
import Link from "next/link";

import { answer, api } from "@/api/client";
import type { Gateway } from "@/api/types";
import { cn } from "@/components/ui/cn";
import { Empty, Failed, Panel } from "@/components/ui/panel";
import { Table, Td, Th } from "@/components/ui/table";
import { count, DASH } from "@/format/number";
import { seconds } from "@/format/time";
import { useAsked } from "@/live/asked";
import { isClosed } from "@/live/overall";
import type { CanaryRates } from "@/live/state";
import { useHub } from "@/live/store";
import { gatewayPageWords } from "@/words/gateway";
import { useWords } from "@/words/words";

const EVERY_MS = 2_000;
/** A tick that is older is dimmed while its exchange is open. */
const STALE_MS = 5_000;
const NONE: readonly CanaryRates[] = [];

/** Who brings most of an exchange now. */
function first(winners: Record<string, number>): string {
  const [most] = Object.entries(winners).sort(([a, n], [b, m]) => m - n || a.localeCompare(b));
  return most?.[0] ?? DASH;
}

function Refused({ gateway }: { gateway: Gateway }) {
  const words = useWords(gatewayPageWords);
  const refused = Object.entries(gateway.refused ?? {});
  if (refused.length === 0 && (gateway.unanswered ?? 0) === 0) return null;
  return (
    <div className="border-t border-border p-3 text-12">
      {(gateway.unanswered ?? 0) > 0 && <p className="text-warn-text">{words.unanswered(count(gateway.unanswered))}</p>}
      {refused.length > 0 && <p className="text-warn-text">{words.refused(count(refused.length))}</p>}
      <ul className="max-h-40 overflow-auto" tabIndex={refused.length > 6 ? 0 : undefined} aria-label={words.contracts}>
        {refused.map(([symbol, why]) => (
          <li key={symbol}>
            <span className="font-semibold">{symbol}</span> <span className="text-muted">{why}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** What it is to bring, by exchange, and who brings it now. */
export function Exchanges({ gateway }: { gateway: Gateway }) {
  const words = useWords(gatewayPageWords);
  const canaries = useHub((hub) => hub.rates?.canaries) ?? NONE;
  const hub = useHub((of) => of.hub);
  const id = gateway.id;
  const { data, error } = useAsked(`exchanges ${id}`, EVERY_MS, () => answer(api.GET("/api/contracts", { params: { query: { account: id, limit: 1 } } })));
  const desired = data?.exchanges.reduce((sum, of) => sum + of.desired, 0) ?? 0;
  return (
    <Panel
      id="gateway-contracts"
      title={words.contracts}
      sub={words.contractsSub(count(gateway.acknowledged ?? 0))}
      end={<Link href={`/contracts?account=${encodeURIComponent(id)}`} prefetch={false} className="text-12 text-link hover:underline">{words.all}</Link>}
    >
      {error !== null && <Failed title={words.contractsFailed}>{error.message}</Failed>}
      {data !== null && desired === 0 && <Empty title={words.noContracts}>{words.noContractsHint}</Empty>}
      {data !== null && desired > 0 && (
        <>
          <Table className="max-wide:min-w-[400px] [&_tbody_tr:last-child_td]:border-b-0">
            <thead>
              <tr>
                <Th className="w-[78px]">{words.exchange}</Th>
                <Th>{words.canaries}</Th>
                <Th end className="w-[76px]">{words.contracts}</Th>
                <Th end className="w-[62px]">{words.age}</Th>
                <Th className="w-[110px]">{words.nowFrom}</Th>
              </tr>
            </thead>
            <tbody>
              {data.exchanges.map((of) => {
                const own = canaries.filter((canary) => canary.exchange === of.exchange);
                const age = own[0]?.by_account[id] ?? null;
                const isOld = hub !== null && !isClosed(hub, of.exchange) && age !== null && age > STALE_MS;
                const isSilent = gateway.exchanges[of.exchange]?.silent_since_ms != null;
                return (
                  <tr key={of.exchange} data-exchange={of.exchange}>
                    <Td>{of.exchange}</Td>
                    <Td className="text-muted">{own.map((canary) => canary.vt_symbol?.split(".")[0]).join(", ") || DASH}</Td>
                    <Td end>{count(of.desired)}</Td>
                    <Td end className={cn(isSilent ? "text-warn-text" : isOld && "text-stale")}>{seconds(age)}</Td>
                    <Td>{first(of.winners)}</Td>
                  </tr>
                );
              })}
            </tbody>
          </Table>
          <p className="flex gap-2 border-t border-border p-3 text-12 text-muted">
            <Info className="mt-0.5 size-3.5 shrink-0" aria-hidden />
            {words.exchangeHint}
          </p>
        </>
      )}
      <Refused gateway={gateway} />
    </Panel>
  );
}
