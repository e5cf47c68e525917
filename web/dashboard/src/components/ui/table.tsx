import type { ComponentProps } from "react";

import { cn } from "./cn";

/** Fixed columns: nothing moves when a value changes. On a small screen it scrolls by itself, so that nothing is cut off. */
export function Table({ className, ...rest }: ComponentProps<"table">) {
  return (
    <div className="max-wide:overflow-x-auto">
      <table className={cn("w-full table-fixed border-collapse max-wide:min-w-[660px]", className)} {...rest} />
    </div>
  );
}

/** `end` puts a column to the right, as numbers are. */
export function Th({ end, className, ...rest }: ComponentProps<"th"> & { end?: boolean }) {
  return (
    <th
      scope="col"
      className={cn("h-[30px] overflow-hidden border-b border-border-strong px-2 text-11 whitespace-nowrap text-muted first:pl-3 last:pr-3", end ? "text-right" : "text-left", className)}
      {...rest}
    />
  );
}

export function Td({ end, className, ...rest }: ComponentProps<"td"> & { end?: boolean }) {
  return (
    <td
      className={cn("h-8 overflow-hidden border-b border-border px-2 text-ellipsis whitespace-nowrap first:pl-3 last:pr-3", end && "text-right", className)}
      {...rest}
    />
  );
}

/** The edge at the left of a row that is sick, and what a row does under the pointer. */
export function rowLook(tone: "warn" | "bad" | "selected" | "off" | undefined): string {
  return cn(
    "hover:bg-raised",
    tone === "warn" && "[&>td:first-child]:shadow-[inset_3px_0_0_var(--warn)]",
    tone === "bad" && "[&>td:first-child]:shadow-[inset_3px_0_0_var(--bad)]",
    tone === "selected" && "bg-accent-soft [&>td:first-child]:shadow-[inset_3px_0_0_var(--accent)]",
    tone === "off" && "[&>td]:text-muted",
  );
}
