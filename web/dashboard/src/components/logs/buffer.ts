// The lines that a page holds: what was read of the past, and what has come since. Pure.

import type { LogLine } from "@/api/types";

/** More than that a page does not hold; the oldest go. */
export const LINES_MAX = 10_000;

/** Lines by their number, each once, oldest first. */
export function merged(held: readonly LogLine[], more: readonly LogLine[]): LogLine[] {
  const last = held.at(-1);
  const first = more[0];
  // Nearly always they only follow.
  const isNewer = last === undefined || (first !== undefined && first.seq > last.seq);
  const all = isNewer ? [...held, ...more] : [...new Map([...held, ...more].map((line) => [line.seq, line])).values()].sort((a, b) => a.seq - b.seq);
  return all.length > LINES_MAX ? all.slice(-LINES_MAX) : all;
}

/** Where the lines of an instant begin: the index of the first that is not older; null while lines before it may be missing. */
export function placeOf(lines: readonly LogLine[], atMs: number, hasOlder: boolean): number | null {
  const first = lines[0];
  if (first === undefined || (hasOlder && first.at_ms >= atMs)) return null;
  const found = lines.findIndex((line) => line.at_ms >= atMs);
  return found < 0 ? lines.length - 1 : found;
}

/** A line as people write it down. */
export function asText(line: LogLine, clock: (ms: number) => string): string {
  const fields = Object.entries(line.fields).map(([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  return [clock(line.at_ms), line.level.toUpperCase().padEnd(5), line.account ?? line.target, line.message, ...fields].join(" ");
}

/** A text in parts, the odd ones being what was searched for. */
export function marked(text: string, search: string): string[] {
  if (search === "") return [text];
  const parts: string[] = [];
  const [inText, of] = [text.toLowerCase(), search.toLowerCase()];
  let from = 0;
  for (let at = inText.indexOf(of); at >= 0; at = inText.indexOf(of, from)) {
    parts.push(text.slice(from, at), text.slice(at, at + search.length));
    from = at + search.length;
  }
  return [...parts, text.slice(from)];
}

/** Fields that say what a line is about. */
const TELLING = ["condition", "status", "phase", "reason", "why", "error", "name", "from", "pid", "http"];

/** What a line's fields say, in short: many messages are one word. */
export function gist(line: LogLine): string {
  const said = TELLING.map((name) => line.fields[name]).filter((value) => typeof value === "string" || typeof value === "number");
  return said.join(" · ");
}

/** Whether a line tells of a start, an end or a change of source. */
export function isEvent(line: LogLine): boolean {
  return /^(started|gateway started|gateway ended|the hub is up|failover|failback|phase)\b/i.test(line.message);
}
