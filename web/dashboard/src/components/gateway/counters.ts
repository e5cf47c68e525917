// The counters of an account, as `GET /api/gateways/{id}` has them.

export interface Counters {
  received: number;
  forwarded: number;
  duplicate: number;
  late: number;
  rejected: number;
  lag_us_p50: number | null;
  lag_us_p99: number | null;
  /** Bucket n has the ticks with a lag below 2^n microseconds that are in no bucket before. */
  lag_histogram_us: number[];
}

export interface Bar {
  /** Upper bound, microseconds. */
  below_us: number;
  ticks: number;
}

/** The buckets from the first to the last with anything in it. */
export function bars(histogram: readonly number[]): Bar[] {
  const used = histogram.flatMap((ticks, index) => (ticks > 0 ? [index] : []));
  const [first, last] = [used[0], used.at(-1)];
  if (first === undefined || last === undefined) return [];
  return histogram.slice(first, last + 1).map((ticks, index) => ({ below_us: 2 ** (first + index), ticks }));
}

/** 512 -> "0.5 ms", 2097152 -> "2 s". */
export function bound(us: number): string {
  if (us < 128) return `${us} µs`;
  const ms = us / 1024;
  return ms < 1000 ? `${ms < 1 ? ms.toFixed(1) : Math.round(ms)} ms` : `${Math.round(ms / 1000)} s`;
}

/** Where a lag stands among the bars, in bars from the left: each bar is twice as far as the one before. */
export function placeOf(shown: readonly Bar[], us: number | null | undefined): number | null {
  const first = shown[0];
  if (first === undefined || us == null || us <= 0) return null;
  return Math.min(shown.length, Math.max(0, Math.log2(us / first.below_us) + 1));
}
