"use client";

import { useEffect, useState } from "react";

import type { HubEvent } from "@/api/types";
import { Button } from "@/components/ui/button";
import { clock, span } from "@/format/time";
import { useLink } from "@/live/link";
import { useHub } from "@/live/store";
import { useSaid } from "@/words/hub/said";
import { shellWords } from "@/words/shell";
import { useWords } from "@/words/words";

/** So many of what happened meanwhile are told by name. */
const TOLD = 3;

/** After the link was lost and has come back: for how long, and what happened meanwhile. */
export function Missed() {
  const words = useWords(shellWords);
  const said = useSaid();
  const [told, setTold] = useState<{ events: HubEvent[]; forMs: number } | null>(null);
  useEffect(
    () =>
      useLink.subscribe((now, before) => {
        if (now.state.is !== "live" || before.state.is !== "lost") return;
        const { events, skewMs } = useHub.getState();
        const { sinceMs } = before.state;
        setTold({ events: events.filter((event) => event.at_ms >= sinceMs + skewMs), forMs: Date.now() - sinceMs });
      }),
    [],
  );
  if (told === null) return null;
  return (
    <div role="note" className="flex items-start gap-3 rounded-m border border-border-strong bg-raised px-3 py-2">
      <div className="min-w-0 flex-1">
        <p className="font-medium">{words.missed(told.events.length, span(told.forMs))}</p>
        <ul className="text-12 text-muted">
          {told.events.slice(0, TOLD).map((event, index) => (
            <li key={index} className="truncate">
              {clock(event.at_ms)} {event.account} {said(event.message)}
            </li>
          ))}
        </ul>
      </div>
      <Button size="s" look="ghost" onClick={() => setTold(null)}>
        {words.dismiss}
      </Button>
    </div>
  );
}
