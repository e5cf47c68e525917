"use client";

import { TriangleAlert } from "lucide-react";
import { useState } from "react";

import { answer, api, type ApiError } from "@/api/client";
import type { Account } from "@/api/types";
import { Button } from "@/components/ui/button";
import { Dialog } from "@/components/ui/dialog";
import { Field } from "@/components/ui/field";
import { accountWords } from "@/words/accounts";
import { useWords } from "@/words/words";

/** Whoever deletes an account types its id. */
export function DeleteDialog({ account, onClose, onDeleted }: { account: Account; onClose: () => void; onDeleted: () => void }) {
  const words = useWords(accountWords);
  const [typed, setTyped] = useState("");
  const [error, setError] = useState<string>();
  const isSure = typed === account.id;
  const remove = async () => {
    if (!isSure) return;
    try {
      await answer(api.DELETE("/api/accounts/{id}", { params: { path: { id: account.id }, header: { "if-match": `"${account.generation}"` } } }));
      onDeleted();
    } catch (failure) {
      setError(words.notDone(words.deleteAccount(account.id), (failure as ApiError).message));
    }
  };
  return (
    <Dialog
      title={words.deleteTitle(account.id)}
      icon={<TriangleAlert className="size-[22px] text-bad" aria-hidden />}
      onClose={onClose}
      closeLabel={words.close}
      footer={
        <>
          <Button onClick={onClose}>{words.cancel}</Button>
          <Button look="danger" impossible={!isSure && words.typeId(account.id)} onClick={() => void remove()}>
            {words.deleteNow}
          </Button>
        </>
      }
    >
      <p className="mb-3">{words.deleteCost}</p>
      <Field label={words.typeId(account.id)} value={typed} error={error} data-autofocus autoComplete="off" onChange={(event) => setTyped(event.target.value)} onKeyDown={(event) => event.key === "Enter" && void remove()} />
    </Dialog>
  );
}
