"use client";

// Lists that the WebSocket does not carry: asked for while somebody looks at them, and not while the tab is hidden.

import { useEffect, useRef, useState } from "react";

import { ApiError } from "@/api/client";

import { useLink } from "./link";

/** Before there is an answer to say how soon the next one is wanted. */
const FIRST_MS = 1_000;

export interface Asked<Data> {
  /** The newest answer; null before the first. */
  data: Data | null;
  /** Why the last question was not answered. */
  error: ApiError | null;
}

/** Asks at once, whenever `key` changes, and then again `everyMs` after an answer, as long as the hub is there and the tab is in sight. */
export function useAsked<Data>(key: string, everyMs: number | ((data: Data) => number), ask: () => Promise<Data>): Asked<Data> {
  const [asked, setAsked] = useState<Asked<Data> & { key: string }>({ data: null, error: null, key });
  const isLive = useLink((link) => link.state.is === "live");
  const question = useRef(ask);
  const pace = useRef(everyMs);
  useEffect(() => {
    question.current = ask;
    pace.current = everyMs;
  });
  useEffect(() => {
    if (!isLive) return undefined;
    let isOver = false;
    let timer: ReturnType<typeof setTimeout>;
    let waitMs = typeof pace.current === "number" ? pace.current : FIRST_MS;
    const again = async () => {
      if (!document.hidden) {
        try {
          const data = await question.current();
          if (typeof pace.current === "function") waitMs = pace.current(data);
          if (!isOver) setAsked({ data, error: null, key });
        } catch (failure) {
          if (!isOver) setAsked((before) => ({ ...before, error: failure as ApiError }));
        }
      }
      if (!isOver) timer = setTimeout(again, waitMs);
    };
    void again();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [key, isLive]);
  return asked;
}
