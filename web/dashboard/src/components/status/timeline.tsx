"use client";

import { ArrowRightLeft, CircleAlert, CircleCheck, Flag, type LucideIcon, Play, RotateCw, Square, TriangleAlert, User } from "lucide-react";
import { useRouter, useSearchParams } from "next/navigation";

import type { HubEvent } from "@/api/types";
import { cn } from "@/components/ui/cn";
import { Select } from "@/components/ui/field";
import { Empty, Panel } from "@/components/ui/panel";
import { clockMs, day, dayClock } from "@/format/time";
import { useHub } from "@/live/store";
import { useSaid } from "@/words/hub/said";
import { statusWords } from "@/words/status";
import { useWords } from "@/words/words";

/** So many are drawn; the logs have the rest. */
const SHOWN = 100;

/** Which sign an event has, by words of its reason. */
const SIGNS: readonly [RegExp, LucideIcon, string][] = [
  [/Failover|Failback|Reassigned/, ArrowRightLeft, "text-warn"],
  [/Blocked|Stuck|CrashLoop|Suspicious|Refused|Failed/, CircleAlert, "text-bad"],
  [/Ended|Exit|Silent|Stale|Lost|NoRoom|Degraded|Unhealthy/, TriangleAlert, "text-warn"],
  [/Restart/, RotateCw, "text-link"],
  [/Stop|Disabled|Deleted/, Square, "text-link"],
  [/Ready|Recovered|Fresh|Healthy|Ticks/, CircleCheck, "text-ok"],
  [/Section|Market/, Flag, "text-muted"],
  [/Start|Enabled|Created/, Play, "text-muted"],
];

function sign(event: HubEvent): [LucideIcon, string] {
  const found = SIGNS.find(([words]) => words.test(event.reason));
  if (found) return [found[1], found[2]];
  return event.actor === "hub" ? [Flag, "text-muted"] : [User, "text-link"];
}

function Line({ event, today }: { event: HubEvent; today: string }) {
  const words = useWords(statusWords);
  const said = useSaid();
  const [Icon, colour] = sign(event);
  return (
    <li className="grid h-8 grid-cols-[104px_18px_112px_minmax(0,1fr)_auto] items-center gap-2 border-b border-border px-3 last:border-b-0">
      <time dateTime={new Date(event.at_ms).toISOString()} className="text-12 text-muted">
        {day(event.at_ms) === today ? clockMs(event.at_ms) : dayClock(event.at_ms)}
      </time>
      <Icon className={cn("size-3.5", colour)} aria-hidden />
      <span className="truncate font-medium">{event.account ?? words.hub}</span>
      <span className="truncate" title={`${event.reason}: ${event.message}`}>
        {said(event.message)}
      </span>
      <span className="text-12 text-muted">{event.actor === "hub" ? "" : event.actor}</span>
    </li>
  );
}

/** What has happened, newest first; `?account=` shows one account's. */
export function Timeline() {
  const words = useWords(statusWords);
  const events = useHub((hub) => hub.events);
  const ids = useHub((hub) => Object.keys(hub.gateways).sort().join("\n"));
  const router = useRouter();
  const account = useSearchParams().get("account") ?? "";
  const today = day(useHub((hub) => hub.rates?.at_ms ?? hub.events[0]?.at_ms ?? 0));
  const shown = events.filter((event) => account === "" || event.account === account).sort((a, b) => b.at_ms - a.at_ms).slice(0, SHOWN);
  const filter = (
    <Select
      label={words.ofAccount}
      value={account}
      onChange={(event) => router.replace(event.target.value === "" ? "/" : `/?account=${encodeURIComponent(event.target.value)}`, { scroll: false })}
    >
      <option value="">{words.allAccounts}</option>
      {ids.split("\n").filter(Boolean).map((id) => (
        <option key={id}>{id}</option>
      ))}
    </Select>
  );
  return (
    <Panel id="timeline" title={words.timeline} sub={words.newest} end={filter} className="min-h-64">
      {shown.length === 0 ? (
        <Empty title={words.nothingYet} />
      ) : (
        <ol className="min-h-0 flex-1 overflow-auto" tabIndex={0} aria-labelledby="timeline">
          {shown.map((event) => (
            <Line key={`${event.at_ms} ${event.account} ${event.reason} ${event.message}`} event={event} today={today} />
          ))}
        </ol>
      )}
    </Panel>
  );
}
