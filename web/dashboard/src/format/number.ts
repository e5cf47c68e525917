// Numbers for people: always the same width in digits, a dash where there is none.

export const DASH = "—";

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** 1948 -> "1,948". */
export function count(value: number | null | undefined): string {
  return value == null || !Number.isFinite(value) ? DASH : whole.format(value);
}

/** A rate: one digit behind the point below ten. */
export function rate(value: number | null | undefined): string {
  if (value == null || !Number.isFinite(value)) return DASH;
  return value < 9.95 && value > 0 ? value.toFixed(1) : whole.format(value);
}

/** 0.587 -> "58.7". */
export function percent(share: number | null | undefined): string {
  return share == null ? DASH : (share * 100).toFixed(1);
}

/** A price as the exchange gives it: no digits that were not there. */
export function price(value: number | null | undefined): string {
  if (value == null || !Number.isFinite(value)) return DASH;
  return new Intl.NumberFormat("en-US", { maximumFractionDigits: 4 }).format(value);
}

/** Microseconds as milliseconds: 380 -> "0.38", 11400 -> "11.4". */
export function asMs(us: number | null | undefined): string {
  if (us == null) return DASH;
  const ms = us / 1000;
  if (ms < 10) return ms.toFixed(2);
  return ms < 100 ? ms.toFixed(1) : whole.format(ms);
}

/** 1536 -> "1.5 KB". */
export function bytes(value: number | null | undefined): string {
  if (value == null) return DASH;
  const units = ["B", "KB", "MB", "GB"];
  let rest = value;
  let unit = 0;
  while (rest >= 1024 && unit < units.length - 1) {
    rest /= 1024;
    unit += 1;
  }
  return `${unit === 0 || rest >= 100 ? whole.format(rest) : rest.toFixed(1)} ${units[unit]}`;
}
