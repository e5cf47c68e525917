"use client";

import { useId, useState } from "react";

import { answer, api, type ApiError } from "@/api/client";
import type { Account } from "@/api/types";
import { Button } from "@/components/ui/button";
import { cn } from "@/components/ui/cn";
import { Dialog } from "@/components/ui/dialog";
import { Field, Segmented, Select } from "@/components/ui/field";
import { Failed } from "@/components/ui/panel";
import { accountWords } from "@/words/accounts";
import { useWords } from "@/words/words";

import { Paste } from "./paste";
import { BLANK, draft, type Filled, filled, mustResend } from "./pure";
import { Trial } from "./trial";

const KINDS = ["ctp", "sopt", "vnpy"] as const;

/** The name by which a fault's field stands in the form. */
function errorOf(error: ApiError | null, field: string): string | undefined {
  return error?.of(field) ?? error?.of(`settings.${field}`);
}

function Fields({ form, before, error, set }: { form: Filled; before: Account | null; error: ApiError | null; set: (part: Partial<Filled>) => void }) {
  const words = useWords(accountWords);
  const frontsId = useId();
  const input = (name: keyof Filled) => ({ value: form[name], error: errorOf(error, name), onChange: (event: { target: { value: string } }) => set({ [name]: event.target.value }), autoComplete: "off" });
  const frontsError = errorOf(error, "md_address");
  return (
    <>
      <div className="grid grid-cols-2 gap-3">
        <Field label={words.user} {...input("user_id")} />
        <Field label={words.broker} {...input("broker_id")} />
      </div>
      <div>
        <label htmlFor={frontsId} className="mb-[5px] block text-12 text-muted">{words.fronts}</label>
        <textarea
          id={frontsId}
          rows={2}
          value={form.fronts}
          aria-invalid={frontsError ? true : undefined}
          placeholder="tcp://203.0.113.11:10211"
          onChange={(event) => set({ fronts: event.target.value })}
          className="block w-full resize-none rounded-m border border-edge bg-inset px-2.5 py-2 font-mono text-12 placeholder:text-muted aria-invalid:border-bad"
        />
        {frontsError && <p className="mt-1 text-12 text-bad-text">{frontsError}</p>}
      </div>
      <Field label={words.library} hint={form.gateway === "vnpy" ? words.classHint : words.libraryHint} {...input("library")} />
      <Field label={words.password} type="password" hint={mustResend(form, before) ? <span className="text-warn-text">{words.resend}</span> : before?.has_password && words.keeps} {...input("password")} autoComplete="new-password" />
      <Field label={words.description} {...input("description")} />
    </>
  );
}

/** Makes an account, or changes one: by a form, or from what people have in a file. */
export function AccountSheet({ account, begin, onClose, onSaved }: { account: Account | null; begin: "form" | "paste"; onClose: () => void; onSaved: () => void }) {
  const words = useWords(accountWords);
  const [form, setForm] = useState<Filled>(account ? filled(account) : BLANK);
  const [mode, setMode] = useState(begin);
  const [error, setError] = useState<ApiError | null>(null);
  const set = (part: Partial<Filled>) => setForm((before) => ({ ...before, ...part }));
  const save = async () => {
    setError(null);
    try {
      const { id, gateway, ...rest } = draft(form);
      if (account === null) await answer(api.POST("/api/accounts", { body: { id, gateway, ...rest } }));
      else await answer(api.PUT("/api/accounts/{id}", { params: { path: { id }, header: { "if-match": `"${account.generation}"` } }, body: rest }));
      onSaved();
    } catch (failure) {
      setError(failure as ApiError);
      // The fields that the hub complains of are in the form.
      setMode("form");
    }
  };
  return (
    <Dialog
      sheet
      title={account ? words.editAccount(account.id) : words.newAccount}
      onClose={onClose}
      closeLabel={words.close}
      footer={
        <>
          <Button onClick={onClose}>{words.cancel}</Button>
          <Button look="primary" impossible={mustResend(form, account) && words.resend} onClick={() => void save()}>
            {words.save}
          </Button>
        </>
      }
    >
      <div className="flex flex-col gap-3.5">
        {account === null && (
          <Segmented
            label={words.newAccount}
            value={mode}
            options={[
              { value: "form", label: words.form },
              { value: "paste", label: words.pasteJson },
            ]}
            onChange={setMode}
          />
        )}
        <div className={cn("grid gap-3", account ? "grid-cols-2" : "grid-cols-[1fr_96px_112px]")}>
          {account === null && <Field label={words.id} value={form.id} error={error?.of("id")} data-autofocus={begin === "form" || undefined} autoComplete="off" onChange={(event) => set({ id: event.target.value })} />}
          <Field label={words.priority} inputMode="numeric" className="text-right" value={form.priority} error={error?.of("priority")} onChange={(event) => set({ priority: event.target.value })} />
          <label className="block">
            <span className="mb-[5px] block text-12 text-muted">{words.kind}</span>
            <Select label={words.kind} className="h-8 w-full" value={form.gateway} disabled={account !== null} onChange={(event) => set({ gateway: event.target.value as Filled["gateway"] })}>
              {KINDS.map((kind) => (
                <option key={kind} value={kind}>{kind.toUpperCase()}</option>
              ))}
            </Select>
          </label>
        </div>
        {mode === "paste" ? <Paste form={form} onParsed={setForm} /> : <Fields form={form} before={account} error={error} set={set} />}
        <Trial body={() => draft(form)} />
        {error !== null && <Failed title={words.notDone(words.save, error.message)} />}
      </div>
    </Dialog>
  );
}
