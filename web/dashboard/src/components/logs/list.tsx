"use client";

import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useLayoutEffect, useRef } from "react";

import type { LogLine } from "@/api/types";
import { logWords } from "@/words/logs";
import { useWords } from "@/words/words";

import { Line } from "./line";

const LINE_PX = 20;
/** So near the bottom, whoever scrolls wants to follow. */
const BOTTOM_PX = 24;

/** Thousands of lines, of which those in sight are drawn. */
export function LineList(props: { lines: LogLine[]; search: string; isPaused: boolean; atMs: number | null; onPause: (pause: boolean) => void; onTop: () => void }) {
  const { lines, search, isPaused, atMs, onPause, onTop } = props;
  const words = useWords(logWords);
  const box = useRef<HTMLDivElement>(null);
  const top = useRef(0);
  // eslint-disable-next-line react-hooks/incompatible-library -- the compiler is not used
  const rows = useVirtualizer({
    count: lines.length,
    getScrollElement: () => box.current,
    estimateSize: () => LINE_PX,
    getItemKey: (index) => lines[index]?.seq ?? index,
    overscan: 20,
  });
  const last = lines.at(-1)?.seq;
  useLayoutEffect(() => {
    if (!isPaused && lines.length > 0) rows.scrollToIndex(lines.length - 1, { align: "end" });
  }, [last, isPaused, lines.length, rows]);
  const sought = atMs === null ? -1 : lines.findIndex((line) => line.at_ms >= atMs);
  const isFound = useRef(false);
  useEffect(() => {
    if (sought < 0 || isFound.current) return;
    isFound.current = true;
    rows.scrollToIndex(sought, { align: "center" });
  }, [sought, rows]);
  const scrolled = () => {
    const at = box.current;
    if (!at) return;
    const isUp = at.scrollTop < top.current - 2;
    const isAtBottom = at.scrollHeight - at.scrollTop - at.clientHeight < BOTTOM_PX;
    top.current = at.scrollTop;
    if (isUp && !isAtBottom && !isPaused) onPause(true);
    if (at.scrollTop < LINE_PX) onTop();
  };
  return (
    <div ref={box} role="log" aria-live="off" aria-label={words.list} tabIndex={0} onScroll={scrolled} className="min-h-0 flex-1 overflow-auto bg-inset py-1 font-mono text-12 leading-5">
      <div className="relative w-full" style={{ height: rows.getTotalSize() }}>
        {rows.getVirtualItems().map((row) => {
          const line = lines[row.index];
          return (
            line && (
              <div key={row.key} data-index={row.index} ref={rows.measureElement} className="absolute top-0 left-0 w-full" style={{ transform: `translateY(${row.start}px)` }}>
                <Line line={line} search={search} />
              </div>
            )
          );
        })}
      </div>
    </div>
  );
}
