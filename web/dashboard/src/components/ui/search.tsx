"use client";

import { useEffect, useRef, useState } from "react";

import { SearchInput } from "./field";

/** After the last key, before the search is in force. */
const QUIET_MS = 250;

/** A search that stands in the address: what is typed is shown at once, and asked for when the keys rest. */
export function Search({ label, text, onChange, className }: { label: string; text: string; onChange: (text: string) => void; className?: string }) {
  const [typed, setTyped] = useState<string | null>(null);
  const change = useRef(onChange);
  useEffect(() => {
    change.current = onChange;
  });
  useEffect(() => {
    if (typed === null) return undefined;
    const timer = setTimeout(() => change.current(typed), QUIET_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  return <SearchInput label={label} className={className} value={typed ?? text} onChange={(event) => setTyped(event.target.value)} onBlur={() => typed === text && setTyped(null)} />;
}
