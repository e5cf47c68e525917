import type { ReactNode } from "react";

import { cn } from "./cn";

/** Numbers in a row, each with one line of context. */
export function Stats({ label, children }: { label: string; children: ReactNode }) {
  return (
    <dl aria-label={label} className="grid auto-cols-fr grid-flow-col rounded-m border border-border bg-panel max-[700px]:grid-flow-row max-[700px]:grid-cols-2">
      {children}
    </dl>
  );
}

export function Stat({ label, unit, context, tone, children }: { label: string; unit?: string; context?: ReactNode; tone?: "warn" | undefined; children: ReactNode }) {
  return (
    <div className="min-w-0 border-l border-border px-3 pt-2 pb-2.5 first:border-l-0">
      <dt className="text-11 whitespace-nowrap text-muted">{label}</dt>
      <dd>
        <span className={cn("mt-0.5 block text-20 font-medium whitespace-nowrap", tone === "warn" && "text-warn-text")}>
          {children}
          {unit && <span className="ml-[3px] text-11 font-normal text-muted">{unit}</span>}
        </span>
        {context !== undefined && <span className="mt-0.5 block truncate text-11 text-muted">{context}</span>}
      </dd>
    </div>
  );
}
