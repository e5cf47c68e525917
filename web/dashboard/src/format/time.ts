// Instants are milliseconds since the epoch; clocks show Beijing time, whatever the browser's zone is.

import { DASH } from "./number";

const BEIJING_MS = 8 * 3_600_000;

function two(value: number): string {
  return String(value).padStart(2, "0");
}

function beijing(atMs: number): Date {
  return new Date(atMs + BEIJING_MS);
}

/** "10:47:50". */
export function clock(atMs: number): string {
  const at = beijing(atMs);
  return `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())}`;
}

/** "10:47:50.226". */
export function clockMs(atMs: number): string {
  return `${clock(atMs)}.${String(beijing(atMs).getUTCMilliseconds()).padStart(3, "0")}`;
}

/** "2026-11-18". */
export function day(atMs: number): string {
  const at = beijing(atMs);
  return `${at.getUTCFullYear()}-${two(at.getUTCMonth() + 1)}-${two(at.getUTCDate())}`;
}

/** "11-18 10:47:50", for what may be of another day. */
export function dayClock(atMs: number): string {
  return `${day(atMs).slice(5)} ${clock(atMs)}`;
}

/** What is left, as a clock: 2530000 -> "00:42:10"; with days beyond one: "2 d 03:00:00". */
export function countdown(ms: number): string {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const days = Math.floor(seconds / 86_400);
  const rest = seconds % 86_400;
  const text = `${two(Math.floor(rest / 3600))}:${two(Math.floor((rest % 3600) / 60))}:${two(rest % 60)}`;
  return days > 0 ? `${days} d ${text}` : text;
}

/** How long: "45 m", "1 h 52 m", "3 d 02 h". */
export function span(ms: number | null | undefined): string {
  if (ms == null) return DASH;
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${two(minutes % 60)} m`;
  return `${Math.floor(hours / 24)} d ${two(hours % 24)} h`;
}

/** Seconds with one digit: 230 -> "0.2". */
export function seconds(ms: number | null | undefined): string {
  if (ms == null) return DASH;
  return ms < 99_950 ? (Math.max(0, ms) / 1000).toFixed(1) : String(Math.round(ms / 1000));
}
