"use client";

import { CircleAlert, CircleCheck, type LucideIcon, TriangleAlert } from "lucide-react";
import Link from "next/link";
import type { ReactNode } from "react";

import { Badge, type Tone } from "@/components/ui/badge";
import { Panel } from "@/components/ui/panel";
import { count, DASH } from "@/format/number";
import type { HubState } from "@/live/state";
import { useHub } from "@/live/store";
import { statusWords } from "@/words/status";
import { useWords } from "@/words/words";

import { ReportButton } from "./report-card";

/** As of then the hub says so every day. */
const CALENDAR_DAYS_FEW = 30;

type Words = (typeof statusWords)["en"];

function Pair({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="flex h-[25px] items-center text-muted">{name}</dt>
      <dd className="flex h-[25px] items-center justify-end gap-1.5">{children}</dd>
    </>
  );
}

function database(hub: HubState, words: Words): [Tone, LucideIcon, string] {
  switch (hub.desired.state) {
    case "fresh":
      return ["ok", CircleCheck, words.connected];
    case "stale":
      return ["warn", TriangleAlert, words.away];
    case "suspicious":
      return ["bad", CircleAlert, words.suspicious];
    case "unread":
      return ["warn", TriangleAlert, words.unread];
  }
}

function settings(hub: HubState, words: Words): [Tone, LucideIcon, string] {
  if (hub.settings.refused !== null) return ["bad", CircleAlert, words.refused];
  if (hub.settings.restart_needed.length > 0) return ["warn", TriangleAlert, words.needRestart];
  return ["ok", CircleCheck, words.inForce];
}

/** How long the calendar's holidays are known. */
function calendar(hub: HubState, words: Words): ReactNode {
  if (hub.sections.always_open) return words.calendarAlways;
  const days = hub.sections.calendar_days_left ?? null;
  if (days === null) return DASH;
  if (days < 0) return <Badge tone="bad" icon={CircleAlert}>{words.calendarEnded}</Badge>;
  return days <= CALENDAR_DAYS_FEW ? <Badge tone="warn" icon={TriangleAlert}>{words.calendarLeft(days)}</Badge> : words.calendarLeft(days);
}

/** What else the hub is at. */
export function HubPanel() {
  const words = useWords(statusWords);
  const hub = useHub((of) => of.hub);
  const clients = useHub((of) => of.rates?.hub.subscribers);
  const open = useHub((of) => of.rates?.hub.alerts_open ?? null);
  const waiting = useHub((of) => of.rates?.hub.alerts_waiting ?? 0);
  const rejected = useHub((of) => (of.rates ? Object.values(of.rates.accounts).reduce((sum, account) => sum + account.rejected, 0) : null));
  if (hub === null) return null;
  const [dbTone, dbIcon, dbWord] = database(hub, words);
  const [setTone, setIcon, setWord] = settings(hub, words);
  return (
    <Panel id="hub" title={words.hub} end={<ReportButton />}>
      <div className="grid grid-cols-2 gap-5 px-3 py-1">
        <dl className="grid grid-cols-[1fr_auto] gap-x-3">
          <Pair name={words.clients}>
            <Link href="/clients" prefetch={false} className="text-link hover:underline">{clients === undefined ? DASH : count(clients)}</Link>
          </Pair>
          <Pair name={words.rejected}>
            <Link href="/quarantine" prefetch={false} className="text-link hover:underline">{count(rejected)}</Link>
          </Pair>
          <Pair name={words.alerts}>
            {waiting > 0 ? <Badge tone="warn" icon={TriangleAlert}>{words.alertsWait(count(waiting))}</Badge> : words.alertsOpen(count(open))}
          </Pair>
        </dl>
        <dl className="grid grid-cols-[1fr_auto] gap-x-3">
          <Pair name={words.database}>
            <span title={hub.desired.message}>
              <Badge tone={dbTone} icon={dbIcon}>{dbWord}</Badge>
            </span>
          </Pair>
          <Pair name={words.settings}>
            <span title={hub.settings.refused ?? hub.settings.restart_needed.join(", ")}>
              <Badge tone={setTone} icon={setIcon}>{setWord}</Badge>
            </span>
          </Pair>
          <Pair name={words.calendar}>{calendar(hub, words)}</Pair>
        </dl>
      </div>
    </Panel>
  );
}
