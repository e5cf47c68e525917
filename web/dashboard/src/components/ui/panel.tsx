import type { ReactNode } from "react";

import { cn } from "./cn";

/** A titled part of a page. */
export function Panel(props: { id: string; title: ReactNode; sub?: ReactNode; end?: ReactNode; children: ReactNode; className?: string }) {
  return (
    <section aria-labelledby={props.id} className={cn("flex min-w-0 flex-col rounded-m border border-border bg-panel", props.className)}>
      <div className="flex h-[38px] flex-none items-center gap-2 border-b border-border px-3">
        <h2 id={props.id} className="whitespace-nowrap text-13 font-semibold">
          {props.title}
        </h2>
        {props.sub !== undefined && <span className="truncate text-12 text-muted">{props.sub}</span>}
        {props.end !== undefined && <div className="ml-auto flex items-center gap-2">{props.end}</div>}
      </div>
      {props.children}
    </section>
  );
}

/** What stands where there is nothing: it says what to do. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="flex flex-1 flex-col items-center justify-center gap-1 px-4 py-10 text-center">
      <p className="text-14 font-medium">{title}</p>
      {children !== undefined && <div className="max-w-prose text-12 text-muted">{children}</div>}
    </div>
  );
}

/** Still blocks at the height of the rows that come. */
export function Loading({ rows, label }: { rows: number; label: string }) {
  return (
    <div role="status" aria-label={label} className="flex flex-col">
      {Array.from({ length: rows }, (_, row) => (
        <div key={row} className="flex h-9 items-center border-b border-border px-3 last:border-b-0">
          <div className="h-2.5 w-2/5 rounded-s bg-raised" />
        </div>
      ))}
    </div>
  );
}

/** What is away, and what stays in force. */
export function Failed({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div role="alert" className="m-3 rounded-m border border-bad-edge bg-bad-soft px-3 py-2 text-12 text-bad-text">
      <p className="font-semibold">{title}</p>
      {children}
    </div>
  );
}
