// The hub's time, for ages and countdowns: drawn four times a second, and not at all while the tab is hidden.

import { useSyncExternalStore } from "react";

import { useHub } from "./store";

const TICK_MS = 250;

let now = 0;
let timer: ReturnType<typeof setInterval> | undefined;
const watchers = new Set<() => void>();

function tick(): void {
  if (document.hidden) return;
  now = Date.now();
  watchers.forEach((tell) => tell());
}

function watch(tell: () => void): () => void {
  if (watchers.size === 0) {
    timer = setInterval(tick, TICK_MS);
    document.addEventListener("visibilitychange", tick);
  }
  watchers.add(tell);
  return () => {
    watchers.delete(tell);
    if (watchers.size > 0) return;
    clearInterval(timer);
    document.removeEventListener("visibilitychange", tick);
  };
}

function current(): number {
  if (now === 0) now = Date.now();
  return now;
}

/** Milliseconds since the epoch, by the hub's clock. */
export function useNow(): number {
  const skewMs = useHub((hub) => hub.skewMs);
  return useSyncExternalStore(watch, current, () => 0) + skewMs;
}
