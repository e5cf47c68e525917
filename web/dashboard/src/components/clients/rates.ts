// How fast each client is sent to, from two looks. Pure.

import type { Subscriber } from "@/api/types";

export interface Client extends Subscriber {
  /** Messages sent over the last second; null at the first look. */
  sent_per_s: number | null;
  is_slow: boolean;
  /** When it was last found slow, by this machine's clock; null where it never was. */
  slowAtMs: number | null;
}

export interface Look {
  atMs: number;
  clients: Client[];
}

/** For so long after it was last slow a client is called so: a mark that comes and goes each second helps nobody. */
const HELD_MS = 60_000;
/** So much that waits is no longer a burst. */
const BACKLOG_BYTES = 1024 * 1024;

/** A look at `atMs`, beside the one before. A client is slow while ticks are dropped for it, or much waits and grows. */
export function looked(before: Look | null, items: readonly Subscriber[], atMs: number): Look {
  const known = new Map(before?.clients.map((client) => [client.address, client]));
  const clients = items.map((item) => {
    const then = known.get(item.address);
    const seconds = before ? (atMs - before.atMs) / 1000 : 0;
    const sent_per_s = then && seconds > 0 ? Math.max(0, item.delivered - then.delivered) / seconds : null;
    const drops = item.dropped > (then?.dropped ?? item.dropped);
    const grows = then !== undefined && item.waiting_bytes > BACKLOG_BYTES && item.waiting_bytes >= then.waiting_bytes;
    const slowAtMs = drops || grows ? atMs : (then?.slowAtMs ?? null);
    return { ...item, sent_per_s, slowAtMs, is_slow: slowAtMs !== null && atMs - slowAtMs < HELD_MS };
  });
  return { atMs, clients };
}
