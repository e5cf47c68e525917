"use client";

import { CircleAlert, CircleCheck, CircleMinus, type LucideIcon, TriangleAlert } from "lucide-react";

import type { Gateway } from "@/api/types";
import { Badge, type Tone } from "@/components/ui/badge";
import { cn } from "@/components/ui/cn";
import { Empty, Panel } from "@/components/ui/panel";
import { Table, Td, Th } from "@/components/ui/table";
import { clockMs, dayClock, span } from "@/format/time";
import { useNow } from "@/live/now";
import { gatewayPageWords } from "@/words/gateway";
import { useSaid } from "@/words/hub/said";
import { useWords } from "@/words/words";

/** Conditions that are well when they are not so. */
const ILL = ["Blocked", "CrashLoop", "Stuck"];

export function Conditions({ gateway }: { gateway: Gateway }) {
  const words = useWords(gatewayPageWords);
  const said = useSaid();
  return (
    <Panel id="conditions" title={words.conditions} sub={words.conditionsSub}>
      <Table className="[&_tbody_tr:last-child_td]:border-b-0">
        <thead>
          <tr>
            <Th className="w-[130px]">{words.condition}</Th>
            <Th className="w-[104px] pl-[15px]!">{words.status}</Th>
            <Th className="w-[130px]">{words.reason}</Th>
            <Th>{words.message}</Th>
            <Th end className="w-[124px]">{words.sinceHead}</Th>
          </tr>
        </thead>
        <tbody>
          {gateway.conditions.map((condition) => {
            const isWell = condition.status === (ILL.includes(condition.type) ? "False" : "True");
            const isQuiet = condition.status === "Unknown" || (isWell && condition.status === "False");
            const [tone, icon]: [Tone, LucideIcon] = isQuiet ? ["idle", CircleMinus] : isWell ? ["ok", CircleCheck] : ILL.includes(condition.type) ? ["bad", CircleAlert] : ["warn", TriangleAlert];
            return (
              <tr key={condition.type} data-condition={condition.type}>
                <Td>{condition.type}</Td>
                <Td className="pl-[15px]!"><Badge tone={tone} icon={icon}>{condition.status}</Badge></Td>
                <Td>{condition.reason}</Td>
                <Td title={condition.message}>{said(condition.message)}</Td>
                <Td end className="text-muted">{condition.since_ms ? dayClock(condition.since_ms) : "—"}</Td>
              </tr>
            );
          })}
        </tbody>
      </Table>
    </Panel>
  );
}

export function Lives({ gateway }: { gateway: Gateway }) {
  const words = useWords(gatewayPageWords);
  const said = useSaid();
  const now = useNow();
  return (
    <Panel id="lives" title={words.lives} sub={words.livesSub}>
      {gateway.incarnations.length === 0 && <Empty title={words.noLives} />}
      <ol>
        {gateway.incarnations.map((life) => (
          <li key={life.incarnation} data-life={life.incarnation} className="border-b border-border px-3 py-1.5 last:border-b-0">
            <div className="grid grid-cols-[52px_100px_70px_minmax(0,1fr)] items-center gap-3">
              <span className="font-semibold" title={life.incarnation}>#{life.incarnation.split(".").at(-1)}</span>
              <time className="text-12 text-muted">{clockMs(life.started_at_ms)}</time>
              <span className="text-right text-12 text-muted">{span((life.ended_at_ms ?? now) - life.started_at_ms)}</span>
              <span className={cn("truncate", !life.ended_at_ms && "text-ok-text")}>
                {life.ended_at_ms ? `${said(life.reason ?? "")} · ${life.asked ? words.asked : words.byItself}${life.bye ? ` · ${said(life.bye)}` : ""}` : words.running}
              </span>
            </div>
            {(life.stderr?.length ?? 0) > 0 && (
              <details className="mt-1">
                <summary className="cursor-pointer text-12 text-link">{words.lastLines}</summary>
                <pre tabIndex={0} className="mt-1 max-h-40 overflow-auto rounded-m border border-border bg-inset px-3 py-2 font-mono text-12">{life.stderr?.join("\n")}</pre>
              </details>
            )}
          </li>
        ))}
      </ol>
    </Panel>
  );
}
