// Lines of the log as they come, for the page that shows them.

import type { LogLevel, LogLine } from "@/api/types";

/** Which lines the hub is to send; what is absent is not asked for. */
export interface LineFilter {
  level?: LogLevel;
  account?: string;
  text?: string;
}

type Lines = (items: LogLine[], dropped: number) => void;

let filter: LineFilter | null = null;
let reader: Lines | null = null;
const watchers = new Set<() => void>();

/** Has the hub send lines to `lines` until the returned function is called. One page reads at a time. */
export function readLines(of: LineFilter, lines: Lines): () => void {
  filter = of;
  reader = lines;
  watchers.forEach((tell) => tell());
  return () => {
    if (reader !== lines) return;
    filter = null;
    reader = null;
    watchers.forEach((tell) => tell());
  };
}

/** What is to be asked of the hub now. */
export function wanted(): LineFilter | null {
  return filter;
}

/** Calls `tell` when what is wanted changes. */
export function onWanted(tell: () => void): () => void {
  watchers.add(tell);
  return () => watchers.delete(tell);
}

/** Lines that have come. */
export function takeLines(message: { items: LogLine[]; dropped: number }): void {
  reader?.(message.items, message.dropped);
}
