"use client";

import { CircleAlert, CircleCheck, LoaderCircle, Square, TriangleAlert } from "lucide-react";
import { useEffect, useRef, useState } from "react";

import type { Problem } from "@/api/client";
import { Button } from "@/components/ui/button";
import { cn } from "@/components/ui/cn";
import { accountWords } from "@/words/accounts";
import { useSaid } from "@/words/hub/said";
import { useWords } from "@/words/words";

export interface TrialStep {
  step: string;
  outcome: "ok" | "warn" | "failed";
  message: string;
  at_ms: number;
}

/** Whole lines of a stream that comes in pieces; the rest waits for the next piece. Pure. */
export function whole(rest: string, piece: string): { lines: string[]; rest: string } {
  const parts = (rest + piece).split("\n");
  return { rest: parts.at(-1) ?? "", lines: parts.slice(0, -1).filter(Boolean) };
}

/** Tells each step as it happens, until the hub has said the result or `signal` ends it. */
async function follow(body: object, signal: AbortSignal, tell: (step: TrialStep) => void): Promise<void> {
  const answer = await fetch("/api/accounts/validate", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal });
  if (!answer.ok || answer.body === null) {
    const problem = (await answer.json().catch(() => ({}))) as Problem;
    throw new Error(problem.detail ?? `status ${answer.status}`);
  }
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    const got = whole(rest, piece.value);
    rest = got.rest;
    got.lines.forEach((line) => tell(JSON.parse(line) as TrialStep));
  }
}

const LOOKS = { ok: [CircleCheck, "text-ok"], warn: [TriangleAlert, "text-warn"], failed: [CircleAlert, "text-bad"] } as const;

/** A real login, step by step, before anything is saved. */
export function Trial({ body }: { body: () => object }) {
  const words = useWords(accountWords);
  const said = useSaid();
  const [steps, setSteps] = useState<TrialStep[] | null>(null);
  const [isRunning, setRunning] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const ending = useRef<AbortController | null>(null);
  // A sheet that is closed ends what it began.
  useEffect(() => () => ending.current?.abort(), []);
  const begin = async () => {
    const mine = new AbortController();
    ending.current = mine;
    setSteps([]);
    setError(null);
    setRunning(true);
    try {
      await follow(body(), mine.signal, (step) => setSteps((before) => [...(before ?? []), step]));
    } catch (failure) {
      setError(mine.signal.aborted ? words.testEnded : (failure as Error).message);
    }
    setRunning(false);
  };
  return (
    <section aria-label={words.testLogin}>
      <div className="mb-1 flex items-center gap-2">
        <Button size="s" onClick={() => (isRunning ? ending.current?.abort() : void begin())}>
          {isRunning && <Square className="size-3.5" aria-hidden />}
          {isRunning ? words.cancelTest : words.testLogin}
        </Button>
        <span className="text-12 text-muted">{words.testHint}</span>
      </div>
      {steps !== null && (
        <ol aria-live="polite">
          {steps.map((step, index) => {
            const [Icon, colour] = LOOKS[step.outcome];
            return (
              <li key={index} data-step={step.step} data-outcome={step.outcome} className={cn("grid min-h-[30px] grid-cols-[18px_96px_minmax(0,1fr)_auto] items-center gap-2 border-b border-border py-1 last:border-b-0", step.step === "result" && "font-semibold")}>
                <Icon className={cn("size-[15px]", colour)} aria-hidden />
                <span>{words.steps[step.step as keyof typeof words.steps] ?? step.step}</span>
                <span className="text-12 break-words text-muted">{said(step.message)}</span>
                <span className="text-12 text-muted">{step.at_ms} ms</span>
              </li>
            );
          })}
          {isRunning && (
            <li className="flex h-[30px] items-center gap-2 text-12 text-muted">
              <LoaderCircle className="size-[15px] animate-spin text-link" aria-hidden />
              {words.testing}
            </li>
          )}
        </ol>
      )}
      {error !== null && <p role="alert" className="text-12 text-bad-text">{error}</p>}
    </section>
  );
}
