"use client";

import { CircleCheck, TriangleAlert } from "lucide-react";
import { useEffect, useId, useState } from "react";

import { answer, api, type ApiError } from "@/api/client";
import type { Pasted } from "@/api/types";
import { Field } from "@/components/ui/field";
import { accountWords } from "@/words/accounts";
import { useWords } from "@/words/words";

import { type Filled, passwordIn, withPasted } from "./pure";

/** After the last key, before the hub is asked what it makes of it. */
const QUIET_MS = 250;

type Read = { is: "nothing" } | { is: "wrong"; why: string } | { is: "read"; pasted: Pasted };

/** What people have in a file, read by the hub as they paste it. */
export function Paste({ form, onParsed }: { form: Filled; onParsed: (form: Filled) => void }) {
  const words = useWords(accountWords);
  const id = useId();
  const [text, setText] = useState("");
  const [read, setRead] = useState<Read>({ is: "nothing" });
  useEffect(() => {
    if (text.trim() === "") return undefined;
    let isOver = false;
    const timer = setTimeout(async () => {
      try {
        JSON.parse(text);
      } catch {
        return setRead({ is: "wrong", why: words.notJson });
      }
      try {
        // It is sent as it was pasted: the hub reads both shapes and the Chinese keys.
        const pasted = await answer(api.POST("/api/accounts/parse", { body: text, bodySerializer: (body) => body }));
        if (isOver) return undefined;
        setRead({ is: "read", pasted });
        onParsed(withPasted(form, pasted, text));
      } catch (failure) {
        if (!isOver) setRead({ is: "wrong", why: (failure as ApiError).message });
      }
      return undefined;
    }, QUIET_MS);
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
    // The form is what the text fills; it does not have the text read again.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [text]);
  const rows: [string, string][] =
    read.is !== "read"
      ? []
      : [
          ["user_id", read.pasted.account.settings.user_id],
          ["password", passwordIn(text) ? words.writeOnly([...passwordIn(text)].length) : ""],
          ["broker_id", read.pasted.account.settings.broker_id],
          ["md_address", read.pasted.account.settings.md_address.join(", ")],
          ["library", read.pasted.account.settings.library ?? ""],
        ];
  const known = rows.filter(([, value]) => value !== "");
  return (
    <>
      <div>
        <label htmlFor={id} className="mb-[5px] block text-12 text-muted">{words.document}</label>
        <textarea
          id={id}
          data-autofocus
          spellCheck={false}
          value={text}
          onChange={(event) => setText(event.target.value)}
          className="block h-44 w-full resize-none rounded-m border border-edge bg-inset px-2.5 py-2 font-mono text-12 leading-[18px] whitespace-pre"
        />
      </div>
      {read.is === "wrong" && <p role="alert" className="text-12 text-bad-text">{read.why}</p>}
      {read.is === "read" && (
        <div>
          <p role="status" className="mb-1 text-12">
            <span className="text-ok-text">{words.understood(known.length)}</span>
            {read.pasted.unknown_keys.length > 0 && <span className="text-warn-text"> · {words.unknown(read.pasted.unknown_keys.length)}</span>}
          </p>
          <ul className="border border-border">
            {known.map(([key, value]) => (
              <li key={key} className="grid h-7 grid-cols-[16px_110px_minmax(0,1fr)] items-center gap-3 border-b border-border px-3 last:border-b-0">
                <CircleCheck className="size-3.5 text-ok" aria-hidden />
                <code className="font-mono text-12">{key}</code>
                <span className="truncate">{value}</span>
              </li>
            ))}
            {read.pasted.unknown_keys.map((key) => (
              <li key={key} className="grid h-7 grid-cols-[16px_110px_minmax(0,1fr)] items-center gap-3 border-b border-border px-3 last:border-b-0">
                <TriangleAlert className="size-3.5 text-warn" aria-hidden />
                <code className="truncate font-mono text-12">{key}</code>
                <span className="text-warn-text">{words.unknownKey}</span>
              </li>
            ))}
          </ul>
        </div>
      )}
      <Field label={words.library} hint={words.libraryHint} value={form.library} autoComplete="off" onChange={(event) => onParsed({ ...form, library: event.target.value })} />
    </>
  );
}
