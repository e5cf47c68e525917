"use client";

// Lists that the WebSocket does not carry: asked for while somebody looks at them, and not while the tab is hidden.

import { useEffect, useRef, useState } from "react";

import { ApiError } from "@/api/client";

import { useLink } from "./link";

export interface Asked<Data> {
  /** The newest answer; null before the first. */
  data: Data | null;
  /** Why the last question was not answered. */
  error: ApiError | null;
}

/** Asks at once, whenever `key` changes, and then every `everyMs` as long as the hub is there and the tab is in sight. */
export function useAsked<Data>(key: string, everyMs: number, ask: () => Promise<Data>): Asked<Data> {
  const [asked, setAsked] = useState<Asked<Data> & { key: string }>({ data: null, error: null, key });
  const isLive = useLink((link) => link.state.is === "live");
  const question = useRef(ask);
  useEffect(() => {
    question.current = ask;
  });
  useEffect(() => {
    if (!isLive) return undefined;
    let isOver = false;
    let timer: ReturnType<typeof setTimeout>;
    const again = async () => {
      if (!document.hidden) {
        try {
          const data = await question.current();
          if (!isOver) setAsked({ data, error: null, key });
        } catch (failure) {
          if (!isOver) setAsked((before) => ({ ...before, error: failure as ApiError }));
        }
      }
      if (!isOver) timer = setTimeout(again, everyMs);
    };
    void again();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [key, everyMs, isLive]);
  return asked;
}
