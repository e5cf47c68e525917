import type { LucideIcon } from "lucide-react";
import type { ReactNode } from "react";

import { cn } from "./cn";

/** Quiet when well; tinted when the hub is on it; red when a person must act. */
export type Tone = "plain" | "ok" | "run" | "idle" | "warn" | "bad";

const TONES: Record<Tone, string> = {
  plain: "",
  ok: "[&>svg]:text-ok",
  run: "[&>svg]:text-link",
  idle: "text-muted [&>svg]:text-idle",
  warn: "-ml-[7px] border-warn-edge bg-warn-soft pr-[7px] pl-1.5 text-warn-text",
  bad: "-ml-[7px] border-bad-edge bg-bad-soft pr-[7px] pl-1.5 font-semibold text-bad-text",
};

/** A state: an icon, a colour and a word, never a colour alone. */
export function Badge({ tone, icon: Icon, children, className }: { tone: Tone; icon: LucideIcon; children: ReactNode; className?: string }) {
  return (
    <span
      data-tone={tone}
      className={cn("inline-flex h-[22px] items-center gap-[5px] whitespace-nowrap rounded-s border border-transparent text-12", TONES[tone], className)}
    >
      <Icon className="size-3.5 shrink-0" aria-hidden />
      {children}
    </span>
  );
}

/** A small label, as a kind. */
export function Tag({ children }: { children: ReactNode }) {
  return <span className="whitespace-nowrap rounded-s border border-border-strong px-[5px] text-11 leading-4 text-muted">{children}</span>;
}
