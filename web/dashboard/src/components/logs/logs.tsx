"use client";

import { Copy, Download, Pause, Play } from "lucide-react";
import { useRouter, useSearchParams } from "next/navigation";
import { useCallback, useEffect, useState } from "react";

import type { LogLevel } from "@/api/types";
import { Shell } from "@/components/shell/shell";
import { Button } from "@/components/ui/button";
import { Select } from "@/components/ui/field";
import { Empty, Failed, Loading } from "@/components/ui/panel";
import { Search } from "@/components/ui/search";
import { count } from "@/format/number";
import { clockMs, day } from "@/format/time";
import { useHub } from "@/live/store";
import { logWords } from "@/words/logs";
import { useWords } from "@/words/words";

import { asText, LINES_MAX, placeOf } from "./buffer";
import { LineList } from "./list";
import { useLines, type Wanted } from "./stream";

const LEVELS = ["error", "warn", "info", "debug"] as const;

/** The filter stands in the address, so that a link shows the same. */
function useWanted(): [Wanted, number | null, (change: Partial<Wanted>) => void] {
  const router = useRouter();
  const query = useSearchParams();
  const level = LEVELS.find((one) => one === query.get("level")) ?? "info";
  const wanted = { level: level as LogLevel, account: query.get("account") ?? "", text: query.get("text") ?? "" };
  const atMs = query.get("at_ms");
  const set = (change: Partial<Wanted>) => {
    const next = new URLSearchParams(Object.entries({ ...wanted, ...change }).filter(([key, value]) => value !== "" && !(key === "level" && value === "info")));
    router.replace(next.size > 0 ? `/logs?${next}` : "/logs", { scroll: false });
  };
  return [wanted, atMs === null ? null : Number(atMs), set];
}

function useLogKeys(setPaused: (set: (isPaused: boolean) => boolean) => void): void {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const { target } = event;
      if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
      if (target instanceof HTMLElement && ["INPUT", "SELECT", "TEXTAREA"].includes(target.tagName)) return;
      if (event.key === "f") setPaused(() => false);
      if (event.key === " " && !(target instanceof HTMLButtonElement)) {
        event.preventDefault();
        setPaused((isPaused) => !isPaused);
      }
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, [setPaused]);
}

export function Logs() {
  const words = useWords(logWords);
  const [wanted, atMs, setWanted] = useWanted();
  // A link to an instant shows that instant, and not the newest line.
  const [isPaused, setPaused] = useState(atMs !== null);
  const [isCopied, setCopied] = useState(false);
  const ids = useHub((hub) => Object.keys(hub.gateways).sort().join("\n"));
  const stream = useLines(wanted, isPaused);
  useLogKeys(setPaused);
  const text = () => stream.lines.map((line) => asText(line, (ms) => `${day(ms)} ${clockMs(ms)}`)).join("\n") + "\n";
  const copy = async () => {
    await navigator.clipboard.writeText(text());
    setCopied(true);
    setTimeout(() => setCopied(false), 2_000);
  };
  const download = () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text()], { type: "text/plain" }));
    link.download = `mdhub-${day(Date.now())}.log`;
    link.click();
    URL.revokeObjectURL(link.href);
  };
  const { older } = stream;
  const onTop = useCallback(() => void older(), [older]);
  const hasOlder = stream.next !== null && stream.lines.length < LINES_MAX;
  const sought = atMs === null ? null : placeOf(stream.lines, atMs, hasOlder);
  const oldest = stream.lines[0]?.seq;
  useEffect(() => {
    if (atMs !== null && sought === null && hasOlder) void older();
  }, [atMs, sought, hasOlder, oldest, older]);
  const accounts = ids.split("\n").filter(Boolean);
  return (
    <Shell page="logs" title={words.title}>
      <section aria-label={words.title} className="flex min-h-0 flex-1 flex-col rounded-m border border-border bg-panel">
        <div className="flex flex-none flex-wrap items-center gap-2 border-b border-border px-3 py-[5px]">
          <Select label={words.level} value={wanted.level} onChange={(event) => setWanted({ level: event.target.value as LogLevel })}>
            {LEVELS.map((level) => (
              <option key={level} value={level}>{words.levels[level]}</option>
            ))}
          </Select>
          <Select label={words.account} value={wanted.account} onChange={(event) => setWanted({ account: event.target.value })}>
            <option value="">{words.allAccounts}</option>
            {(accounts.includes(wanted.account) || wanted.account === "" ? accounts : [wanted.account, ...accounts]).map((id) => (
              <option key={id}>{id}</option>
            ))}
          </Select>
          <Search label={words.search} className="w-64" text={wanted.text} onChange={(to) => setWanted({ text: to })} />
          <span className="text-12 text-muted" data-lines={stream.lines.length}>{words.lines(count(stream.lines.length))}</span>
          {stream.dropped > 0 && <span className="text-12 text-warn-text">{words.dropped(count(stream.dropped))}</span>}
          {sought === 0 && !hasOlder && <span className="text-12 text-muted">{words.begin}</span>}
          <div className="ml-auto flex items-center gap-2">
            <Button size="s" title={isPaused ? words.followHint : words.pauseHint} aria-pressed={isPaused} onClick={() => setPaused(!isPaused)}>
              {isPaused ? <Play className="size-3.5" aria-hidden /> : <Pause className="size-3.5" aria-hidden />}
              {isPaused ? words.paused : words.follow}
              {isPaused && stream.fresh > 0 && <span className="text-link">{words.fresh(count(stream.fresh))}</span>}
            </Button>
            <Button size="s" onClick={() => void copy()}>
              <Copy className="size-3.5" aria-hidden />
              {isCopied ? words.copied : words.copy}
            </Button>
            <Button size="s" onClick={download}>
              <Download className="size-3.5" aria-hidden />
              {words.download}
            </Button>
          </div>
        </div>
        {stream.error !== null && <Failed title={words.failed(stream.error.message)} />}
        {stream.isLoading && stream.lines.length === 0 && <Loading rows={6} label={words.loading} />}
        {!stream.isLoading && stream.lines.length === 0 && <Empty title={words.none}>{words.noneHint}</Empty>}
        {stream.lines.length > 0 && <LineList lines={stream.lines} search={wanted.text} isPaused={isPaused} sought={sought} onPause={setPaused} onTop={onTop} />}
      </section>
    </Shell>
  );
}
