"use client";

import { CircleAlert, CircleCheck, ClipboardCheck, TriangleAlert } from "lucide-react";
import { useState } from "react";

import { answer, api } from "@/api/client";
import { Button } from "@/components/ui/button";
import { cn } from "@/components/ui/cn";
import { Dialog } from "@/components/ui/dialog";
import { Panel } from "@/components/ui/panel";
import { count } from "@/format/number";
import { countdown } from "@/format/time";
import { useAsked } from "@/live/asked";
import { useNow } from "@/live/now";
import { useHub } from "@/live/store";
import { reportWords } from "@/words/report";
import { useWords } from "@/words/words";

import { type Grade, opensSoon, report } from "./report";

const EVERY_MS = 5_000;

const LOOKS = { ok: [CircleCheck, "text-ok"], warn: [TriangleAlert, "text-warn"], bad: [CircleAlert, "text-bad"] } as const;

function Item({ grade, name, children }: { grade: Grade; name: string; children: string }) {
  const [Icon, colour] = LOOKS[grade];
  return (
    <li data-grade={grade} className="grid min-h-8 grid-cols-[18px_150px_minmax(0,1fr)] items-center gap-2 border-b border-border py-1 last:border-b-0">
      <Icon className={cn("size-4", colour)} aria-hidden />
      <span className="font-medium">{name}</span>
      <span className={grade === "ok" ? "text-muted" : grade === "bad" ? "text-bad-text" : "text-warn-text"}>{children}</span>
    </li>
  );
}

function Card() {
  const words = useWords(reportWords);
  const gateways = useHub((hub) => hub.gateways);
  const hub = useHub((of) => of.hub);
  const { data } = useAsked("report", EVERY_MS, async () => {
    const [accounts, contracts] = await Promise.all([answer(api.GET("/api/accounts")), answer(api.GET("/api/contracts", { params: { query: { limit: 1 } } }))]);
    return { accounts: accounts.items, coverage: contracts.coverage };
  });
  if (hub === null) return null;
  const { logins, coverage, calendar, sources } = report(Object.values(gateways), data?.accounts ?? [], hub, data?.coverage ?? null);
  const faults = [sources.shared.length > 0 && words.shared(sources.shared.join(", ")), sources.alone.length > 0 && words.alone(sources.alone.join(", "))].filter(Boolean);
  return (
    <ul>
      <Item grade={logins.grade} name={words.logins}>
        {words.loginsText(logins.in, logins.of) + (logins.out.length > 0 ? `; ${words.out(logins.out.join(", "))}` : "")}
      </Item>
      <Item grade={coverage?.grade ?? "ok"} name={words.coverage}>
        {coverage ? words.coverageText(count(coverage.acknowledged), count(coverage.desired)) : words.unknown}
      </Item>
      <Item grade={calendar.grade} name={words.calendar}>
        {calendar.daysLeft === null ? words.calendarNone : calendar.daysLeft < 0 ? words.calendarOver : words.calendarText(calendar.daysLeft)}
      </Item>
      <Item grade={sources.grade} name={words.sources}>
        {faults.length > 0 ? faults.join("; ") : words.sourcesText}
      </Item>
    </ul>
  );
}

/** Before each section: whether all is ready for it. */
export function ReportPanel() {
  const words = useWords(reportWords);
  const hub = useHub((of) => of.hub);
  const now = useNow();
  const opensMs = hub && opensSoon(hub, now);
  if (opensMs === null) return null;
  return (
    <Panel id="report" title={words.title} sub={words.opens(countdown(opensMs - now))} className="flex-none">
      <div className="px-3 py-1">
        <Card />
      </div>
    </Panel>
  );
}

/** The same at any time, for whoever wants to see it. */
export function ReportButton() {
  const words = useWords(reportWords);
  const [isShown, setShown] = useState(false);
  return (
    <>
      <Button size="s" onClick={() => setShown(true)}>
        <ClipboardCheck className="size-3.5" aria-hidden />
        {words.show}
      </Button>
      {isShown && (
        <Dialog title={words.title} onClose={() => setShown(false)} closeLabel={words.close} footer={<Button data-autofocus onClick={() => setShown(false)}>{words.close}</Button>}>
          <p className="mb-2 text-13 text-muted">{words.now}</p>
          <Card />
        </Dialog>
      )}
    </>
  );
}
