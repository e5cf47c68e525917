"use client";

import { CircleAlert, CircleCheck, CircleMinus, CircleSlash, LoaderCircle, Moon, TriangleAlert, type LucideIcon } from "lucide-react";
import { type ReactNode, useMemo } from "react";

import { cn } from "@/components/ui/cn";
import { DASH, rate } from "@/format/number";
import { clock, countdown } from "@/format/time";
import { useLink } from "@/live/link";
import { useNow } from "@/live/now";
import { overall, type OverallState, type Reason } from "@/live/overall";
import type { Section } from "@/live/state";
import { useHub } from "@/live/store";
import { useSaid } from "@/words/hub/said";
import { shellWords } from "@/words/shell";
import { useWords } from "@/words/words";

import { AccountMenu } from "./menu";

type Words = (typeof shellWords)["en"];

const LOOKS: Record<OverallState | "lost", { icon: LucideIcon; box: string; word: string; why: string }> = {
  healthy: { icon: CircleCheck, box: "[&>svg]:text-ok", word: "", why: "text-muted" },
  closed: { icon: Moon, box: "[&>svg]:text-idle", word: "", why: "text-muted" },
  idle: { icon: CircleMinus, box: "[&>svg]:text-idle", word: "", why: "text-muted" },
  waiting: { icon: LoaderCircle, box: "[&>svg]:text-link", word: "", why: "text-muted" },
  degraded: { icon: TriangleAlert, box: "bg-warn-soft shadow-[inset_3px_0_0_var(--warn)] [&>svg]:text-warn-text", word: "text-warn-text", why: "" },
  down: { icon: CircleAlert, box: "bg-bad-soft shadow-[inset_3px_0_0_var(--bad)] [&>svg]:text-bad-text", word: "text-bad-text", why: "" },
  lost: { icon: CircleSlash, box: "bg-bad-soft shadow-[inset_3px_0_0_var(--bad)] [&>svg]:text-bad-text", word: "text-bad-text", why: "" },
};

function say(reason: Reason, words: Words, said: (sentence: string) => string): string {
  switch (reason.why) {
    case "waiting":
      return words.waitingWhy;
    case "allWell":
      return words.allWell(reason.n);
    case "noSource":
    case "noRedundancy":
    case "silentMarket": {
      const text = words[reason.why](reason.kinds);
      return reason.detail ? `${text}: ${reason.detail}` : text;
    }
    case "sick":
      return words.sick(reason.id, said(reason.message)) + (reason.more > 0 ? words.andMore(reason.more) : "");
    default:
      return words[reason.why];
  }
}

/** The hub in one word. What changes here is announced; nothing else is. */
function OverallBox() {
  const words = useWords(shellWords);
  const said = useSaid();
  const gateways = useHub((hub) => hub.gateways);
  const hub = useHub((of) => of.hub);
  const link = useLink((of) => of.state);
  const whole = useMemo(() => overall(Object.values(gateways), hub), [gateways, hub]);
  const look = LOOKS[link.is === "lost" ? "lost" : whole.state];
  const Icon = look.icon;
  const why = link.is === "lost" ? <LostWhy sinceMs={link.sinceMs} retryAtMs={link.retryAtMs} /> : say(whole.reason, words, said);
  return (
    <div className={cn("flex min-w-0 flex-1 items-center gap-3 px-4", look.box)}>
      <Icon className="size-[22px] shrink-0" aria-hidden />
      <div className="min-w-0 flex-1">
        <div role="status">
          <strong className={cn("block text-16 leading-5 font-semibold", look.word)}>{link.is === "lost" ? words.disconnected : words[whole.state]}</strong>
          {link.is !== "lost" && <span className={cn("block truncate text-12 max-wide:whitespace-normal max-wide:leading-[14px]", look.why)} title={String(why)}>{why}</span>}
        </div>
        {link.is === "lost" && <span className="block truncate text-12">{why}</span>}
      </div>
    </div>
  );
}

/** Counts down beside the live region, which would say every second aloud. */
function LostWhy({ sinceMs, retryAtMs }: { sinceMs: number; retryAtMs: number }) {
  const words = useWords(shellWords);
  const skewMs = useHub((hub) => hub.skewMs);
  const now = useNow() - skewMs;
  return words.lostWhy(clock(sinceMs + skewMs), String(Math.max(0, Math.ceil((retryAtMs - now) / 1000))));
}

function Stat({ label, children, wide = false }: { label: string; children: ReactNode; wide?: boolean }) {
  return (
    <div className={cn("flex flex-col justify-center border-l border-border px-3.5 whitespace-nowrap max-wide:px-2.5", wide && "max-wide:hidden")}>
      <dt className="text-11 text-muted">{label}</dt>
      <dd className="text-14 font-medium">{children}</dd>
    </div>
  );
}

function Unit({ children }: { children: ReactNode }) {
  return <span className="ml-[3px] text-11 font-normal text-muted">{children}</span>;
}

/** Sections that stand alike are told once: futures, and what else there is. */
export function grouped(items: readonly Section[]): { exchanges: string[]; phase: Section["phase"]; until_ms: number | null }[] {
  const groups = new Map<string, { exchanges: string[]; phase: Section["phase"]; until_ms: number | null }>();
  for (const { exchange, phase, until_ms } of items) {
    const key = `${phase} ${until_ms}`;
    const group = groups.get(key) ?? { exchanges: [], phase, until_ms };
    if (!group.exchanges.includes(exchange)) group.exchanges.push(exchange);
    groups.set(key, group);
  }
  return [...groups.values()].sort((a, b) => (a.until_ms ?? Infinity) - (b.until_ms ?? Infinity));
}

function Markets() {
  const words = useWords(shellWords);
  const sections = useHub((hub) => hub.hub?.sections);
  const now = useNow();
  if (!sections) return <Stat label={words.market} wide>{DASH}</Stat>;
  if (sections.always_open) return <Stat label={words.market} wide>{words.alwaysOpen}</Stat>;
  return grouped(sections.items ?? []).slice(0, 3).map(({ exchanges, phase, until_ms }) => {
    const isOpen = phase === "open" || phase === "auction";
    const left = until_ms === null ? "" : (isOpen ? words.closesIn : words.opensIn)(countdown(until_ms - now));
    return (
      <Stat key={exchanges.join()} label={exchanges.join(", ")} wide>
        {phase === "auction" ? words.auction : isOpen ? words.open : words.closed}
        {left && <span className="mx-1 font-normal text-muted">·</span>}
        {left}
      </Stat>
    );
  });
}

function Numbers() {
  const words = useWords(shellWords);
  const rates = useHub((hub) => hub.rates?.hub);
  const now = useNow();
  return (
    <>
      <Stat label={words.stream}>
        {rate(rates?.ticks_per_s)}
        <Unit>{words.ticksPerS}</Unit>
      </Stat>
      <Stat label={words.endToEnd}>
        {rate(rates?.latency_us_p50)}
        <span className="mx-1 font-normal text-muted">/</span>
        {rate(rates?.latency_us_p99)}
        <Unit>µs</Unit>
      </Stat>
      <Stat label={words.beijing}>{clock(now)}</Stat>
    </>
  );
}

export function TopBar() {
  return (
    <header className="flex min-w-0 items-stretch border-b border-border bg-panel">
      <OverallBox />
      <dl className="flex items-stretch">
        <Markets />
        <Numbers />
      </dl>
      <AccountMenu />
    </header>
  );
}
