"use client";

import { ChevronDown, User } from "lucide-react";
import { useEffect, useRef, useState } from "react";

import { api } from "@/api/client";
import { Segmented } from "@/components/ui/field";
import { useChoices } from "@/live/choices";
import { useLink } from "@/live/link";
import { shellWords } from "@/words/shell";
import { useWords } from "@/words/words";

import { useHelp } from "./keys";

export function AccountMenu() {
  const words = useWords(shellWords);
  const user = useLink((link) => link.user);
  const [isOpen, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!isOpen) return undefined;
    const outside = (event: MouseEvent) => !box.current?.contains(event.target as Node) && setOpen(false);
    const escape = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      setOpen(false);
      button.current?.focus();
    };
    document.addEventListener("mousedown", outside);
    document.addEventListener("keydown", escape);
    return () => {
      document.removeEventListener("mousedown", outside);
      document.removeEventListener("keydown", escape);
    };
  }, [isOpen]);
  return (
    <div ref={box} className="relative flex">
      <button
        ref={button}
        type="button"
        aria-expanded={isOpen}
        aria-controls="account-menu"
        onClick={() => setOpen(!isOpen)}
        className="flex items-center gap-1.5 border-l border-border px-4 hover:bg-raised"
      >
        <User className="size-4" aria-hidden />
        <span className="max-wide:hidden">{user}</span>
        <ChevronDown className="size-3.5" aria-hidden />
        <span className="sr-only">{words.accountMenu}</span>
      </button>
      {isOpen && <Menu close={() => setOpen(false)} />}
    </div>
  );
}

function Menu({ close }: { close: () => void }) {
  const words = useWords(shellWords);
  const { theme, language, setTheme, setLanguage } = useChoices();
  const help = useHelp((of) => of.show);
  const logOut = async () => {
    await api.DELETE("/api/session").catch(() => undefined);
    useLink.getState().leave();
  };
  const item = "flex h-8 w-full items-center rounded-s px-2 text-left hover:bg-raised";
  return (
    <div id="account-menu" className="absolute top-full right-2 z-20 mt-1 w-60 rounded-m border border-border-strong bg-panel p-2 shadow-[var(--shadow)]">
      <div className="flex items-center justify-between px-2 py-1.5">
        <span className="text-12 text-muted">{words.language}</span>
        <Segmented
          label={words.language}
          value={language}
          options={[
            { value: "en", label: "English" },
            { value: "zh-CN", label: "中文" },
          ]}
          onChange={setLanguage}
        />
      </div>
      <div className="flex items-center justify-between px-2 py-1.5">
        <span className="text-12 text-muted">{words.theme}</span>
        <Segmented
          label={words.theme}
          value={theme}
          options={[
            { value: "dark", label: words.dark },
            { value: "light", label: words.light },
          ]}
          onChange={setTheme}
        />
      </div>
      <hr className="my-1 border-border" />
      <button
        type="button"
        className={item}
        onClick={() => {
          close();
          help();
        }}
      >
        {words.keys}
      </button>
      <a className={item} href="/docs/" target="_blank" rel="noreferrer">
        {words.apiDocs}
      </a>
      <button type="button" className={item} onClick={logOut}>
        {words.logOut}
      </button>
    </div>
  );
}
