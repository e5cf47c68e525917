"use client";

import { usePathname, useRouter } from "next/navigation";
import { type ReactNode, useEffect } from "react";

import { answer, api, ApiError } from "@/api/client";
import { cn } from "@/components/ui/cn";
import { mayBeLoggedIn, useLink } from "@/live/link";
import { follow } from "@/live/socket";
import { shellWords } from "@/words/shell";
import { useWords } from "@/words/words";

import { KeyHelp, useKeys } from "./keys";
import { Missed } from "./missed";
import type { Page } from "./nav";
import { Sidebar } from "./sidebar";
import { TopBar } from "./topbar";

/** Asks once who is logged in, and sends whoever is not to the login. */
function useLogin(): boolean {
  const user = useLink((link) => link.user);
  const router = useRouter();
  const path = usePathname();
  useEffect(() => {
    if (user !== undefined) return undefined;
    if (!mayBeLoggedIn()) {
      useLink.getState().leave();
      return undefined;
    }
    let isGone = false;
    let timer: ReturnType<typeof setTimeout>;
    const ask = async () => {
      try {
        const session = await answer(api.GET("/api/session"));
        if (!isGone) useLink.getState().loggedIn(session.username);
      } catch (error) {
        if (isGone) return;
        if (error instanceof ApiError && error.status === 401) useLink.getState().loggedOut();
        else timer = setTimeout(ask, 1_000);
      }
    };
    void ask();
    return () => {
      isGone = true;
      clearTimeout(timer);
    };
  }, [user]);
  useEffect(() => {
    if (user === null) router.replace(`/login?next=${encodeURIComponent(path + location.search)}`);
  }, [user, router, path]);
  return typeof user === "string";
}

/** One socket for all pages, as long as somebody is logged in. */
let stop: (() => void) | null = null;

function useFollow(isLoggedIn: boolean): void {
  useEffect(() => {
    if (isLoggedIn && stop === null) stop = follow();
    if (!isLoggedIn && stop !== null) {
      stop();
      stop = null;
    }
  }, [isLoggedIn]);
}

/** What stands around every page but the login. */
export function Shell({ page, title, children }: { page: Page | null; title: string; children: ReactNode }) {
  const words = useWords(shellWords);
  const isLoggedIn = useLogin();
  const isLost = useLink((link) => link.state.is === "lost");
  useFollow(isLoggedIn);
  useKeys();
  useEffect(() => {
    document.title = `${title} · mdhub`;
  }, [title]);
  if (!isLoggedIn) return <div aria-busy className="h-dvh" />;
  return (
    <div className="grid h-dvh grid-cols-[176px_minmax(0,1fr)] grid-rows-[60px_minmax(0,1fr)] overflow-hidden max-wide:grid-cols-[56px_minmax(0,1fr)]">
      <a href="#main" className="sr-only focus:not-sr-only focus:absolute focus:z-30 focus:bg-panel focus:p-3">
        {words.skip}
      </a>
      <Sidebar page={page} />
      <TopBar />
      <main id="main" tabIndex={-1} className={cn("flex min-w-0 flex-col gap-3 overflow-auto p-3 focus-visible:shadow-none", isLost && "is-lost")}>
        <h1 className="sr-only">{title}</h1>
        <Missed />
        {children}
      </main>
      <KeyHelp />
    </div>
  );
}
