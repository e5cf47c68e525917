"use client";

import { useRouter } from "next/navigation";
import { useEffect } from "react";
import { create } from "zustand";

import { Dialog } from "@/components/ui/dialog";
import { shellWords } from "@/words/shell";
import { useWords } from "@/words/words";

import { PAGES } from "./nav";

/** After `g`, the second key must come within so long. */
const CHORD_MS = 1_500;

export const useHelp = create<{ isShown: boolean; show: () => void; hide: () => void }>()((set) => ({
  isShown: false,
  show: () => set({ isShown: true }),
  hide: () => set({ isShown: false }),
}));

/** Whether a key is meant for what has the focus. */
function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName));
}

/** The keys that hold on every page. */
export function useKeys(): void {
  const router = useRouter();
  const show = useHelp((help) => help.show);
  useEffect(() => {
    let chordMs = -Infinity;
    const press = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || document.querySelector("dialog[open]")) return;
      const page = event.timeStamp - chordMs < CHORD_MS ? PAGES.find(({ key }) => key === event.key) : undefined;
      chordMs = event.key === "g" ? event.timeStamp : -Infinity;
      if (page) {
        event.preventDefault();
        router.push(page.href);
      } else if (event.key === "/") {
        event.preventDefault();
        document.querySelector<HTMLElement>("[data-search]")?.focus();
      } else if (event.key === "?") {
        show();
      }
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, [router, show]);
}

function Key({ children }: { children: string }) {
  return <kbd className="inline-block min-w-[18px] rounded-s border border-border-strong bg-bg px-[5px] text-center text-11 leading-4 text-muted">{children}</kbd>;
}

/** The list of keys. */
export function KeyHelp() {
  const words = useWords(shellWords);
  const { isShown, hide } = useHelp();
  if (!isShown) return null;
  const rows: [string[], string][] = [
    [["/"], words.keySearch],
    [["f"], words.keyFollow],
    [["space"], words.keyPause],
    ...PAGES.map(({ page, key }): [string[], string] => [["g", key], words.keyGo(words[page])]),
    [["?"], words.keyHelp],
  ];
  return (
    <Dialog sheet title={words.keys} onClose={hide} closeLabel={words.close}>
      <dl>
        {rows.map(([keys, text]) => (
          <div key={keys.join()} className="flex h-8 items-center justify-between border-b border-border last:border-b-0">
            <dt>{text}</dt>
            <dd className="flex items-center gap-1">
              {keys.map((key, index) => (
                <span key={key} className="flex items-center gap-1">
                  {index > 0 && <span className="text-11 text-muted">{words.then}</span>}
                  <Key>{key}</Key>
                </span>
              ))}
            </dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
