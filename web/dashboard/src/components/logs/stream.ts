"use client";

// The past of the log over HTTP, its present over the WebSocket, and one list of both.

import { useCallback, useEffect, useRef, useState } from "react";

import { answer, api, type ApiError } from "@/api/client";
import type { LogLevel, LogLine } from "@/api/types";
import { readLines } from "@/live/lines";
import { useLink } from "@/live/link";

import { merged } from "./buffer";

const PAGE = 500;

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

/** Lines that pass the filter. While paused, what comes waits. */
export function useLines({ level, account, text }: Wanted, isPaused: boolean): Stream {
  const [lines, setLines] = useState<LogLine[]>([]);
  const [fresh, setFresh] = useState(0);
  const [dropped, setDropped] = useState(0);
  const [next, setNext] = useState<number | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [isLoading, setLoading] = useState(true);
  const waiting = useRef<LogLine[]>([]);
  const paused = useRef(isPaused);
  const isLive = useLink((link) => link.state.is === "live");

  useEffect(() => {
    paused.current = isPaused;
    if (isPaused) return;
    const come = waiting.current;
    waiting.current = [];
    // eslint-disable-next-line react-hooks/set-state-in-effect -- what waited is shown when the page goes on
    setFresh(0);
    if (come.length > 0) setLines((held) => merged(held, come));
  }, [isPaused]);

  useEffect(() => {
    if (!isLive) return undefined;
    let isOver = false;
    let isFirst = true;
    waiting.current = [];
    // What was shown under another filter, or by the hub's former life, stays until there is something else.
    const put = (items: LogLine[]) => {
      const isNew = isFirst;
      isFirst = false;
      setLines((held) => merged(isNew ? [] : held, items));
    };
    const filter = { level, ...(account ? { account } : {}), ...(text ? { text } : {}) };
    const stop = readLines(filter, (items, left) => {
      if (left > 0) setDropped((n) => n + left);
      if (!paused.current) return put(items);
      waiting.current = merged(waiting.current, items);
      setFresh(waiting.current.length);
    });
    answer(api.GET("/api/logs", { params: { query: { ...filter, limit: PAGE } } })).then(
      (page) => {
        if (isOver) return;
        put([...page.items].reverse());
        setNext(page.next ?? null);
        setError(null);
        setLoading(false);
      },
      (failure: ApiError) => {
        if (isOver) return;
        setError(failure);
        setLoading(false);
      },
    );
    return () => {
      isOver = true;
      stop();
      setFresh(0);
      setDropped(0);
    };
  }, [level, account, text, isLive]);

  const older = useCallback(async () => {
    if (next === null) return;
    setNext(null);
    try {
      const query = { level, limit: PAGE, before: next, ...(account ? { account } : {}), ...(text ? { text } : {}) };
      const page = await answer(api.GET("/api/logs", { params: { query } }));
      setLines((held) => merged(held, [...page.items].reverse()));
      setNext(page.next ?? null);
    } catch (failure) {
      setError(failure as ApiError);
      setNext(next);
    }
  }, [next, level, account, text]);

  return { lines, fresh, dropped, next, error, isLoading, older };
}
