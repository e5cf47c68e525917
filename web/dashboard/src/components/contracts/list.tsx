"use client";

import { useVirtualizer } from "@tanstack/react-virtual";
import { CircleAlert, CircleCheck, type LucideIcon, Moon, TriangleAlert } from "lucide-react";
import { useRef } from "react";

import type { ContractItem, ContractState } from "@/api/types";
import { Badge, Tag, type Tone } from "@/components/ui/badge";
import { cn } from "@/components/ui/cn";
import { count, DASH, price } from "@/format/number";
import { seconds } from "@/format/time";
import { contractWords } from "@/words/contracts";
import { useWords } from "@/words/words";

import { type Part, rowOf } from "./window";

const ROW_PX = 32;
/** A price that is older is dimmed while its contract is open. */
const STALE_MS = 5_000;

const LOOKS: Record<ContractState, [Tone, LucideIcon]> = {
  ticking: ["ok", CircleCheck],
  silent: ["warn", TriangleAlert],
  missing: ["bad", CircleAlert],
  closed: ["idle", Moon],
};

const COLUMNS = "grid grid-cols-[minmax(190px,1.4fr)_minmax(100px,0.8fr)_90px_70px_70px_minmax(90px,1fr)_70px_90px_90px_80px] items-center gap-4 px-3 max-wide:min-w-[940px]";

function Row({ item }: { item: ContractItem }) {
  const words = useWords(contractWords);
  const [tone, icon] = LOOKS[item.state];
  const [symbol, exchange] = item.vt_symbol.split(/\.(?=[^.]*$)/);
  const age = item.last_tick_age_ms ?? null;
  const dim = item.state !== "closed" && age !== null && age > STALE_MS && "text-stale";
  const edge = tone === "warn" ? "shadow-[inset_3px_0_0_var(--warn)]" : tone === "bad" ? "shadow-[inset_3px_0_0_var(--bad)]" : "";
  return (
    <>
      <span role="cell" className={cn("flex h-8 min-w-0 items-center gap-1.5 truncate pl-3 -ml-3", edge)}>
        <span className="truncate">
          {symbol}
          <span className="text-muted">.{exchange}</span>
        </span>
        {item.is_canary && <Tag>{words.canary}</Tag>}
        {item.is_demand && <Tag>{words.onDemand}</Tag>}
      </span>
      <span role="cell" className="pl-[7px]"><Badge tone={tone} icon={icon}>{words.states[item.state]}</Badge></span>
      <span role="cell" className={cn("text-right", dim)}>{price(item.last_price)}</span>
      <span role="cell" className={cn("text-right", dim)}>{seconds(age)}</span>
      <span role="cell" className={cn("text-right", dim)}>{item.ticks_per_s == null ? DASH : item.ticks_per_s.toFixed(1)}</span>
      <span role="cell" className="truncate">{item.winner ?? DASH}</span>
      <span role="cell" className="text-right">{words.sourcesOf(item.sources.length, item.desired_by.length)}</span>
      <span role="cell" className="text-right">{count(item.forwarded)}</span>
      <span role="cell" className="text-right text-muted">{count(item.duplicate)}</span>
      <span role="cell" className={cn("text-right", item.rejected === 0 && "text-muted")}>{count(item.rejected)}</span>
    </>
  );
}

/** Twenty thousand rows, of which those in sight are asked for and drawn; old ones wait for an answer to another question. */
export function ContractList({ part, isOld, onFirst }: { part: Part<ContractItem>; isOld: boolean; onFirst: (index: number) => void }) {
  const words = useWords(contractWords);
  const box = useRef<HTMLDivElement>(null);
  // eslint-disable-next-line react-hooks/incompatible-library -- the compiler is not used
  const rows = useVirtualizer({
    count: part.total,
    getScrollElement: () => box.current,
    estimateSize: () => ROW_PX,
    overscan: 12,
    onChange: (list) => onFirst(list.range?.startIndex ?? 0),
  });
  const heads: [string, boolean][] = [
    [words.contract, false],
    [words.state, false],
    [words.last, true],
    [words.age, true],
    [words.perS, true],
    [words.winner, false],
    [words.sources, true],
    [words.published, true],
    [words.duplicates, true],
    [words.rejected, true],
  ];
  return (
    <div ref={box} tabIndex={0} role="table" aria-label={words.list} aria-rowcount={part.total + 1} aria-busy={isOld} className={cn("min-h-0 flex-1 overflow-auto", isOld && "opacity-50 transition-opacity delay-200 motion-reduce:opacity-100")}>
      <div role="rowgroup" className="sticky top-0 z-[1] bg-panel max-wide:min-w-[940px]">
        <div role="row" aria-rowindex={1} className={cn(COLUMNS, "h-[30px] border-b border-border-strong text-11 font-medium text-muted")}>
          {heads.map(([head, end]) => (
            <span key={head} role="columnheader" className={cn("truncate", end && "text-right", head === words.state && "pl-[7px]")}>{head}</span>
          ))}
        </div>
      </div>
      <div role="rowgroup" className="relative" style={{ height: rows.getTotalSize() }}>
        {rows.getVirtualItems().map((row) => {
          const item = rowOf(part, row.index);
          return (
            <div
              key={row.key}
              role="row"
              aria-rowindex={row.index + 2}
              data-contract={item?.vt_symbol}
              className={cn(COLUMNS, "absolute top-0 left-0 h-8 w-full border-b border-border hover:bg-raised")}
              style={{ transform: `translateY(${row.start}px)` }}
            >
              {item ? <Row item={item} /> : <span role="cell" className="h-3 w-28 rounded-s bg-raised" />}
            </div>
          );
        })}
      </div>
    </div>
  );
}
