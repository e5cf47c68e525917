// The last half hour of what the sparklines show, in a ring of fixed length. Pure.

import type { Rates } from "./state";

/** A point covers so long. */
export const POINT_MS = 20_000;
/** Half an hour. */
export const POINTS = 90;

export interface Series {
  /** Mean of each covered point; null where nothing was heard. */
  points: (number | null)[];
  max: number;
}

interface Open {
  sum: number;
  n: number;
}

/** Means over points of time, by the name of a series. */
export class History {
  private at = 0;
  private readonly closed = new Map<string, (number | null)[]>();
  private readonly open = new Map<string, Open>();

  /** Takes what was told at `rates.at_ms`. */
  take(rates: Rates): void {
    const point = Math.floor(rates.at_ms / POINT_MS);
    if (this.at === 0) this.at = point;
    while (this.at < point) {
      this.close();
      this.at += 1;
      if (point - this.at > POINTS) this.at = point - POINTS;
    }
    this.note("published", rates.hub.ticks_per_s);
    this.note("latency_p50", rates.hub.latency_us_p50);
    this.note("latency_p99", rates.hub.latency_us_p99);
    for (const [id, account] of Object.entries(rates.accounts)) this.note(`in:${id}`, account.ticks_per_s);
  }

  /** The closed points and the one under way. */
  of(name: string): Series {
    const open = this.open.get(name);
    const points = [...(this.closed.get(name) ?? []), open && open.n > 0 ? open.sum / open.n : null].slice(-POINTS);
    return { points, max: points.reduce<number>((max, point) => Math.max(max, point ?? 0), 0) };
  }

  private note(name: string, value: number | null | undefined): void {
    if (value == null) return;
    const open = this.open.get(name) ?? { sum: 0, n: 0 };
    open.sum += value;
    open.n += 1;
    this.open.set(name, open);
  }

  private close(): void {
    for (const name of new Set([...this.closed.keys(), ...this.open.keys()])) {
      const open = this.open.get(name);
      const points = this.closed.get(name) ?? [];
      points.push(open && open.n > 0 ? open.sum / open.n : null);
      if (points.length > POINTS) points.shift();
      // A series that is gone, as an account's, does not stay for ever.
      if (points.every((point) => point === null)) this.closed.delete(name);
      else this.closed.set(name, points);
    }
    this.open.clear();
  }
}
