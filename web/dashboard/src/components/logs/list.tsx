"use client";

import { useVirtualizer } from "@tanstack/react-virtual";
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";

import type { LogLine } from "@/api/types";
import { logWords } from "@/words/logs";
import { useWords } from "@/words/words";

import { Line } from "./line";

const LINE_PX = 20;
/** So near the bottom, whoever scrolls wants to follow. */
const BOTTOM_PX = 24;

/** Thousands of lines, of which those in sight are drawn. */
export function LineList(props: { lines: LogLine[]; search: string; isPaused: boolean; sought: number | null; onPause: (pause: boolean) => void; onTop: () => void }) {
  const { lines, search, isPaused, sought, onPause, onTop } = props;
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
  const first = lines[0]?.seq;
  const wasFirst = useRef(first);
  // Older lines come in above: what is read stays where it is.
  useLayoutEffect(() => {
    const before = wasFirst.current;
    wasFirst.current = first;
    if (first === undefined || before === undefined || first >= before || !box.current) return;
    const index = lines.findIndex((line) => line.seq === before);
    const start = rows.measurementsCache[index]?.start;
    if (start !== undefined) box.current.scrollTop += start;
  }, [first, lines, rows]);
  const soughtSeq = sought === null ? undefined : lines[sought]?.seq;
  const isFound = useRef(false);
  useEffect(() => {
    if (sought === null || isFound.current) return;
    isFound.current = true;
    rows.scrollToIndex(sought, { align: "center" });
  }, [sought, rows]);
  // A line that scrolls out of sight and comes back is as it was.
  const [open] = useState(() => new Set<number>());
  const fold = useCallback((seq: number, isOpen: boolean) => void (isOpen ? open.add(seq) : open.delete(seq)), [open]);
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
                <Line line={line} search={search} isSought={line.seq === soughtSeq} wasOpen={open.has(line.seq)} onFold={fold} />
              </div>
            )
          );
        })}
      </div>
    </div>
  );
}
