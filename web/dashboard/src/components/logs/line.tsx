"use client";

import { ChevronDown, ChevronRight, Copy } from "lucide-react";
import { memo, useState } from "react";

import type { LogLine } from "@/api/types";
import { cn } from "@/components/ui/cn";
import { clockMs, day } from "@/format/time";
import { logWords } from "@/words/logs";
import { useWords } from "@/words/words";

import { asText, gist, isEvent, marked } from "./buffer";

const LEVELS: Record<string, string> = { error: "font-bold text-bad-text", warn: "text-warn-text" };

function Marked({ text, search }: { text: string; search: string }) {
  return marked(text, search).map((part, index) => (index % 2 === 1 ? <mark key={index}>{part}</mark> : part));
}

interface LineProps {
  line: LogLine;
  search: string;
  /** The one that a link leads to. */
  isSought?: boolean;
  /** Whether it was unfolded when it was last in sight, and who is told when that changes. */
  wasOpen?: boolean;
  onFold?: (seq: number, isOpen: boolean) => void;
}

/** One line; its fields unfold. */
export const Line = memo(function Line({ line, search, isSought, wasOpen, onFold }: LineProps) {
  const words = useWords(logWords);
  const [isOpen, setOpen] = useState(wasOpen ?? false);
  const fold = () => {
    setOpen(!isOpen);
    onFold?.(line.seq, !isOpen);
  };
  const fields = Object.entries({ ...line.fields, ...(line.incarnation ? { incarnation: line.incarnation } : {}), target: line.target });
  const said = gist(line);
  const Chevron = isOpen ? ChevronDown : ChevronRight;
  return (
    <div
      data-level={line.level}
      data-seq={line.seq}
      data-sought={isSought || undefined}
      className={cn(
        "grid min-h-5 grid-cols-[94px_52px_92px_minmax(0,1fr)] gap-2.5 px-3 hover:bg-raised",
        line.level === "error" && "bg-bad-soft shadow-[inset_3px_0_0_var(--bad)]",
        line.level !== "error" && isEvent(line) && "bg-raised shadow-[inset_3px_0_0_var(--accent)]",
        isSought && "outline-1 -outline-offset-1 outline-accent",
      )}
    >
      <time className="text-muted">{clockMs(line.at_ms)}</time>
      <span className={LEVELS[line.level] ?? "text-muted"}>{line.level.toUpperCase()}</span>
      <span className="truncate text-muted">{line.account ?? words.hub}</span>
      <div className="min-w-0 break-words whitespace-pre-wrap">
        <Marked text={line.message} search={search} />
        {said !== "" && (
          <span className="ml-2 text-muted">
            <Marked text={said} search={search} />
          </span>
        )}
        <button type="button" aria-expanded={isOpen} onClick={fold} className="ml-2 text-link">
          <Chevron className="mb-px inline size-3" aria-hidden />
          {words.fields(fields.length)}
        </button>
        {isOpen && (
          <div>
            <dl className="my-1 grid w-max max-w-full grid-cols-[auto_1fr] gap-x-3.5 rounded-s bg-panel px-3.5 py-1">
              {fields.map(([key, value]) => (
                <div key={key} className="contents">
                  <dt className="text-muted">{key}</dt>
                  <dd className="break-all">
                    <Marked text={typeof value === "string" ? value : JSON.stringify(value)} search={search} />
                  </dd>
                </div>
              ))}
            </dl>
            <button type="button" className="mb-1 text-link" onClick={() => void navigator.clipboard.writeText(asText(line, (ms) => `${day(ms)} ${clockMs(ms)}`))}>
              <Copy className="mr-1 mb-px inline size-3" aria-hidden />
              {words.copyLine}
            </button>
          </div>
        )}
      </div>
    </div>
  );
});
