"use client";

// The past of the log over HTTP, its present over the WebSocket, and one list of both.

import { useCallback, useEffect, useRef, useState } from "react";

import { answer, api, type ApiError } from "@/api/client";
import type { LogLevel, LogLine } from "@/api/types";
import { readLines } from "@/live/lines";
import { useLink } from "@/live/link";

import { LINES_MAX, merged } from "./buffer";

const PAGE = 500;
/** By then the hub has heard over the WebSocket what is wanted. */
const SETTLED_MS = 1_000;

export interface Wanted {
  level: LogLevel;
  account: string;
  text: string;
}

export interface Stream {
  lines: LogLine[];
  /** How many have come while the page was paused. */
  fresh: number;
  dropped: number;
  /** From here on older ones are asked for; null where there is none. */
  next: number | null;
  error: ApiError | null;
  isLoading: boolean;
  older: () => Promise<void>;
}

/** Lines that pass the filter. While paused, or out of sight, what comes waits. */
export function useLines({ level, account, text }: Wanted, isPaused: boolean): Stream {
  const [lines, setLines] = useState<LogLine[]>([]);
  const [fresh, setFresh] = useState(0);
  const [dropped, setDropped] = useState(0);
  const [next, setNext] = useState<number | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [isLoading, setLoading] = useState(true);
  const waiting = useRef<LogLine[]>([]);
  const paused = useRef(isPaused);
  /** Counts the filters, so that an answer is known to be to the one that rules. */
  const life = useRef(0);
  const isAsking = useRef(false);
  const isLive = useLink((link) => link.state.is === "live");

  useEffect(() => {
    paused.current = isPaused;
    const goOn = () => {
      if (isPaused) return setFresh(waiting.current.length);
      if (document.hidden) return;
      const come = waiting.current;
      waiting.current = [];
      setFresh(0);
      if (come.length > 0) setLines((held) => merged(held, come));
    };
    goOn();
    document.addEventListener("visibilitychange", goOn);
    return () => document.removeEventListener("visibilitychange", goOn);
  }, [isPaused]);

  useEffect(() => {
    if (!isLive) return undefined;
    let isOver = false;
    let isFirst = true;
    life.current += 1;
    isAsking.current = false;
    waiting.current = [];
    // What was shown under another filter, or by the hub's former life, stays until there is something else.
    const put = (items: LogLine[]) => {
      const isNew = isFirst;
      isFirst = false;
      setLines((held) => merged(isNew ? [] : held, items));
    };
    const filter = { level, ...(account ? { account } : {}), ...(text ? { text } : {}) };
    const come = (items: LogLine[]) => {
      if (!paused.current && !document.hidden) return put(items);
      waiting.current = merged(waiting.current, items);
      if (!document.hidden) setFresh(waiting.current.length);
    };
    const stop = readLines(filter, (items, left) => {
      if (left > 0) setDropped((n) => n + left);
      come(items);
    });
    let again: ReturnType<typeof setTimeout>;
    const past = () => answer(api.GET("/api/logs", { params: { query: { ...filter, limit: PAGE } } }));
    past().then(
      (page) => {
        if (isOver) return;
        put([...page.items].reverse());
        setNext(page.next ?? null);
        setError(null);
        setLoading(false);
        again = setTimeout(() => void settle(page.items[0]?.seq ?? 0), SETTLED_MS);
      },
      (failure: ApiError) => {
        if (isOver) return;
        setError(failure);
        setLoading(false);
      },
    );
    // The two go over connections of their own: what was written between the answer and the first live line is in neither.
    const settle = async (newest: number) => {
      const page = await past().catch(() => null);
      if (!isOver && page !== null) come(page.items.filter((line) => line.seq > newest).reverse());
    };
    return () => {
      isOver = true;
      clearTimeout(again);
      stop();
      setFresh(0);
      setDropped(0);
    };
  }, [level, account, text, isLive]);

  const isFull = lines.length >= LINES_MAX;
  const older = useCallback(async () => {
    if (next === null || isFull || isAsking.current) return;
    isAsking.current = true;
    const asked = life.current;
    try {
      const query = { level, limit: PAGE, before: next, ...(account ? { account } : {}), ...(text ? { text } : {}) };
      const page = await answer(api.GET("/api/logs", { params: { query } }));
      // Under another filter by now: these lines are not wanted any more.
      if (asked !== life.current) return;
      setLines((held) => merged(held, [...page.items].reverse()));
      setNext(page.next ?? null);
    } catch (failure) {
      if (asked === life.current) setError(failure as ApiError);
    } finally {
      if (asked === life.current) isAsking.current = false;
    }
  }, [next, isFull, level, account, text]);

  return { lines, fresh, dropped, next, error, isLoading, older };
}
