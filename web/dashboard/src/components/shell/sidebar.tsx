"use client";

import { CircleDot, CircleSlash } from "lucide-react";
import Link from "next/link";

import { cn } from "@/components/ui/cn";
import { count } from "@/format/number";
import { span } from "@/format/time";
import { useLink } from "@/live/link";
import { useNow } from "@/live/now";
import { useHub } from "@/live/store";
import { shellWords } from "@/words/shell";
import { useWords } from "@/words/words";

import { type Page, PAGES } from "./nav";

function Brand() {
  return (
    <div className="flex h-[60px] items-center gap-2.5 border-b border-border px-4 text-14 font-semibold max-wide:justify-center max-wide:px-0">
      <svg viewBox="0 0 16 16" className="size-4 fill-none stroke-current stroke-[1.75]" strokeLinecap="round" strokeLinejoin="round" aria-hidden>
        <path d="M2 3.5h4l4 9h4M2 8h12M2 12.5h4l4-9h4" />
      </svg>
      <span className="max-wide:sr-only">mdhub</span>
    </div>
  );
}

/** How many stand behind a page's name. */
function usePageCounts(): Partial<Record<Page, number>> {
  const accounts = useHub((hub) => Object.keys(hub.gateways).length);
  const clients = useHub((hub) => hub.rates?.hub.subscribers);
  const rejected = useHub((hub) => (hub.rates ? Object.values(hub.rates.accounts).reduce((sum, account) => sum + account.rejected, 0) : undefined));
  return { accounts, clients, quarantine: rejected };
}

export function Sidebar({ page }: { page: Page | null }) {
  const words = useWords(shellWords);
  const counts = usePageCounts();
  return (
    <aside aria-label={words.sidebar} className="row-span-2 flex flex-col border-r border-border bg-panel">
      <Brand />
      <nav aria-label={words.pages} className="flex flex-col gap-0.5 p-2">
        {PAGES.map(({ page: one, href, icon: Icon }) => (
          <Link
            key={one}
            href={href}
            prefetch={false}
            title={words[one]}
            aria-current={one === page ? "page" : undefined}
            className={cn(
              "relative flex h-[34px] items-center gap-2.5 rounded-m px-2.5 text-muted hover:bg-raised hover:text-text max-wide:h-10 max-wide:justify-center max-wide:px-0",
              "aria-[current]:bg-raised aria-[current]:font-semibold aria-[current]:text-text",
              "aria-[current]:before:absolute aria-[current]:before:inset-y-[7px] aria-[current]:before:-left-2 aria-[current]:before:w-[3px] aria-[current]:before:rounded-r aria-[current]:before:bg-accent",
            )}
          >
            <Icon className="size-4 shrink-0" aria-hidden />
            <span className="max-wide:sr-only">{words[one]}</span>
            {counts[one] !== undefined && counts[one] > 0 && <span className="ml-auto text-11 font-normal text-muted max-wide:hidden">{count(counts[one])}</span>}
          </Link>
        ))}
      </nav>
      <Foot />
    </aside>
  );
}

/** For how long the hub is up, by its own clock. */
function Up() {
  const words = useWords(shellWords);
  const epoch = useHub((hub) => hub.hub?.epoch);
  const now = useNow();
  return epoch ? <span className="block max-wide:hidden">{words.up(span(now - Number(epoch) / 1e6))}</span> : null;
}

function Foot() {
  const words = useWords(shellWords);
  const link = useLink((of) => of.state.is);
  const revision = useHub((hub) => hub.revision);
  const word = link === "live" ? words.live : link === "lost" ? words.disconnected : words.connecting;
  const Icon = link === "lost" ? CircleSlash : CircleDot;
  return (
    <div className="mt-auto border-t border-border px-4 py-3 text-11 leading-[17px] text-muted max-wide:grid max-wide:place-items-center max-wide:px-0">
      <div className="flex items-center gap-1.5 text-12 text-text" title={word}>
        <Icon className={cn("size-3.5", link === "live" ? "text-ok" : link === "lost" ? "text-bad" : "text-link")} aria-hidden />
        <span className="max-wide:sr-only">{word}</span>
      </div>
      <span className="max-wide:hidden">{words.revision(count(revision))}</span>
      <Up />
    </div>
  );
}
