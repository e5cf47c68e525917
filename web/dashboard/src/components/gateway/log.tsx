"use client";

import Link from "next/link";
import { useState } from "react";

import type { Gateway } from "@/api/types";
import { Line } from "@/components/logs/line";
import { useLines } from "@/components/logs/stream";
import { Select } from "@/components/ui/field";
import { Empty, Panel } from "@/components/ui/panel";
import { gatewayPageWords } from "@/words/gateway";
import { useWords } from "@/words/words";

const SHOWN = 60;

type Life = "all" | "this" | "previous";

/** The newest lines about one account; those of an earlier life of its process, too. */
export function GatewayLog({ gateway }: { gateway: Gateway }) {
  const words = useWords(gatewayPageWords);
  const [life, setLife] = useState<Life>("all");
  const { lines } = useLines({ level: "info", account: gateway.id, text: "" }, false);
  const [newest, before] = gateway.incarnations;
  const wanted = life === "this" ? newest?.incarnation : life === "previous" ? before?.incarnation : undefined;
  const shown = (life === "all" ? lines : lines.filter((line) => wanted !== undefined && line.incarnation === wanted)).slice(-SHOWN).reverse();
  return (
    <Panel
      id="log"
      title={words.logs}
      className="min-h-72"
      end={
        <>
          <Select label={words.lifeShown} value={life} onChange={(event) => setLife(event.target.value as Life)}>
            <option value="all">{words.allLives}</option>
            <option value="this">{words.thisLife}</option>
            <option value="previous">{words.previousLife}</option>
          </Select>
          <Link href={`/logs?account=${encodeURIComponent(gateway.id)}`} prefetch={false} className="text-12 text-link hover:underline">{words.openLogs}</Link>
        </>
      }
    >
      {shown.length === 0 ? (
        <Empty title={words.noLines} />
      ) : (
        <div tabIndex={0} role="log" aria-live="off" aria-label={words.logs} className="min-h-0 flex-1 overflow-auto bg-inset py-1 font-mono text-12 leading-5">
          {shown.map((line) => (
            <Line key={line.seq} line={line} search="" />
          ))}
        </div>
      )}
    </Panel>
  );
}
