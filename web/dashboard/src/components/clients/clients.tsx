"use client";

import { CircleCheck, TriangleAlert } from "lucide-react";
import { useRouter, useSearchParams } from "next/navigation";
import { useRef } from "react";

import { answer, api } from "@/api/client";
import { Shell } from "@/components/shell/shell";
import { Badge } from "@/components/ui/badge";
import { cn } from "@/components/ui/cn";
import { Empty, Failed, Loading, Panel } from "@/components/ui/panel";
import { Search } from "@/components/ui/search";
import { Stat, Stats } from "@/components/ui/stat";
import { rowLook, Table, Td, Th } from "@/components/ui/table";
import { bytes, count, rate } from "@/format/number";
import { clock } from "@/format/time";
import { useAsked } from "@/live/asked";
import { useHub } from "@/live/store";
import { clientWords } from "@/words/clients";
import { useWords } from "@/words/words";

import { type Client, type Look, looked } from "./rates";

const EVERY_MS = 1_000;

const PYTHON = `import zmq
sub = zmq.Context().socket(zmq.SUB)
sub.connect("tcp://127.0.0.1:5555"); sub.subscribe("rb2701.SHFE")
while True:
    topic, payload = sub.recv_multipart(); print(topic, payload[:1], len(payload))`;

const sum = (clients: readonly Client[], of: (client: Client) => number) => clients.reduce((total, client) => total + of(client), 0);

/** What it subscribes, by name as far as the hub tells; the empty prefix is everything. */
function topics({ topics, subscriptions }: Client, everything: string): string[] {
  const names = topics.map((topic) => (topic === "" ? everything : topic));
  return subscriptions > topics.length ? [...names, "…"] : names;
}

function ClientTable({ look }: { look: Look }) {
  const words = useWords(clientWords);
  const skewMs = useHub((hub) => hub.skewMs);
  const wide = "max-wide:hidden";
  return (
    <Table className="[&_tbody_tr:last-child_td]:border-b-0">
      <thead>
        <tr>
          <Th className="w-[180px]">{words.address}</Th>
          <Th className={cn("w-[130px]", wide)}>{words.token}</Th>
          <Th className="w-[130px] pl-[15px]!">{words.state}</Th>
          <Th>{words.topics}</Th>
          <Th end className="w-[70px]">{words.howMany}</Th>
          <Th end className={cn("w-[100px]", wide)}>{words.since}</Th>
          <Th end className="w-[90px]">{words.sentPerS}</Th>
          <Th end className="w-[110px]">{words.backlogKib}</Th>
          <Th end className="w-[110px]">{words.dropped}</Th>
        </tr>
      </thead>
      <tbody>
        {look.clients.map((client) => (
          <tr key={client.address} data-client={client.address} className={rowLook(client.is_slow ? "warn" : undefined)}>
            <Td className="font-semibold">{client.address}</Td>
            <Td className={cn(wide, !client.token && "text-muted")}>{client.token ?? words.anonymous}</Td>
            <Td className="pl-[15px]!">{client.is_slow ? <Badge tone="warn" icon={TriangleAlert}>{words.slow}</Badge> : <Badge tone="ok" icon={CircleCheck}>{words.keepsUp}</Badge>}</Td>
            <Td title={topics(client, words.everything).join(", ")}>{topics(client, words.everything).join(", ")}</Td>
            <Td end>{count(client.subscriptions)}</Td>
            <Td end className={cn("text-muted", wide)}>{clock(look.atMs + skewMs - client.connected_ms)}</Td>
            <Td end>{rate(client.sent_per_s)}</Td>
            <Td end className={client.is_slow ? "font-semibold text-warn-text" : "text-muted"}>{count(client.waiting_bytes / 1024)}</Td>
            <Td end className={client.dropped > 0 ? "font-semibold text-warn-text" : "text-muted"}>{count(client.dropped)}</Td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}

/** Who gets the ticks, and who cannot keep up. */
export function Clients() {
  const words = useWords(clientWords);
  const router = useRouter();
  const search = useSearchParams().get("q") ?? "";
  const before = useRef<Look | null>(null);
  const published = useHub((hub) => hub.rates?.hub.ticks_per_s);
  const { data: look, error } = useAsked("clients", EVERY_MS, async () => {
    const { items } = await answer(api.GET("/api/subscribers"));
    before.current = looked(before.current, items, Date.now());
    return before.current;
  });
  const all = look?.clients ?? [];
  const shown = look && { ...look, clients: all.filter((client) => `${client.address} ${client.token ?? ""} ${client.topics.join(" ")}`.includes(search)) };
  const slow = all.filter((client) => client.is_slow);
  return (
    <Shell page="clients" title={words.title}>
      <div className="flex min-h-8 flex-wrap items-center gap-3">
        <span aria-hidden className="text-16 font-semibold">{words.title}</span>
        {look && <span className="text-muted">{words.summary(all.length, slow.length)}</span>}
        <Search label={words.search} className="ml-auto w-60" text={search} onChange={(to) => router.replace(to ? `/clients?q=${encodeURIComponent(to)}` : "/clients", { scroll: false })} />
      </div>
      {error !== null && <Failed title={words.failed}>{error.message}</Failed>}
      {look === null && error === null && <Loading rows={3} label={words.loading} />}
      {look !== null && (
        <Stats label={words.numbers}>
          <Stat label={words.connected} context={words.keepUp(all.length - slow.length)}>{count(all.length)}</Stat>
          <Stat label={words.sent} unit={words.perS} context={words.copies(rate(published))}>{rate(sum(all, (client) => client.sent_per_s ?? 0))}</Stat>
          <Stat label={words.backlog}>{bytes(sum(all, (client) => client.waiting_bytes))}</Stat>
          <Stat label={words.dropped} context={words.sinceStart} tone={sum(all, (client) => client.dropped) > 0 ? "warn" : undefined}>{count(sum(all, (client) => client.dropped))}</Stat>
        </Stats>
      )}
      {shown && (
        <Panel id="subscribers" title={words.subscribers}>
          {all.length === 0 && (
            <Empty title={words.none}>
              {words.noneHint}
              <pre tabIndex={0} className="mt-2 overflow-x-auto rounded-m border border-border bg-inset p-3 text-left font-mono text-12 text-text">{PYTHON}</pre>
            </Empty>
          )}
          {all.length > 0 && shown.clients.length === 0 && <Empty title={words.noMatch} />}
          {shown.clients.length > 0 && <ClientTable look={shown} />}
        </Panel>
      )}
      {slow.map((client) => (
        <Panel key={client.address} id={`slow-${client.address}`} title={words.slowTitle(client.token ?? client.address)}>
          <div className="grid grid-cols-2 gap-10 p-3 max-wide:grid-cols-1">
            <p>{words.slowText}</p>
            <p className="text-muted">
              {words.slowHelp} <code className="font-mono text-12">GET /api/ticks/{"{vt_symbol}"}?after_seq=N</code>
            </p>
          </div>
        </Panel>
      ))}
    </Shell>
  );
}
