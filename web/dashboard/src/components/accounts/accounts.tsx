"use client";

import { Info, Plus, TriangleAlert } from "lucide-react";
import { useRouter, useSearchParams } from "next/navigation";
import { useCallback, useEffect, useMemo, useState } from "react";

import { answer, api, ApiError } from "@/api/client";
import type { Account } from "@/api/types";
import { Shell } from "@/components/shell/shell";
import { Button } from "@/components/ui/button";
import { Empty, Failed, Loading, Panel } from "@/components/ui/panel";
import { Search } from "@/components/ui/search";
import { useLink } from "@/live/link";
import { useHub } from "@/live/store";
import { accountWords } from "@/words/accounts";
import { useWords } from "@/words/words";

import { DeleteDialog } from "./delete";
import { matches, sharing } from "./pure";
import { AccountSheet } from "./sheet";
import { AccountTable } from "./table";

interface Known {
  items: Account[];
  set_aside: { id: string; why: string }[];
}

/** The accounts as the database has them, read again whenever the hub has read another generation. */
function useAccounts() {
  const [known, setKnown] = useState<Known | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [asked, setAsked] = useState(0);
  const version = useHub((hub) => Object.values(hub.gateways).map((one) => `${one.id} ${one.generation}`).join() + String(hub.hub?.desired.revision));
  const isLoggedIn = useLink((link) => typeof link.user === "string");
  useEffect(() => {
    if (!isLoggedIn) return undefined;
    let isOver = false;
    answer(api.GET("/api/accounts")).then(
      (got) => {
        if (isOver) return;
        setKnown(got);
        setError(null);
      },
      (failure: ApiError) => !isOver && setError(failure),
    );
    return () => {
      isOver = true;
    };
  }, [version, asked, isLoggedIn]);
  const reload = useCallback(() => setAsked((n) => n + 1), []);
  return { known, error, reload };
}

type Opened = { sheet: "form" | "paste"; account: Account | null } | { delete: Account };

export function Accounts() {
  const words = useWords(accountWords);
  const { known, error, reload } = useAccounts();
  const [opened, setOpened] = useState<Opened | null>(null);
  const [notice, setNotice] = useState<string | null>(null);
  const isLost = useLink((link) => link.state.is === "lost");
  const router = useRouter();
  const search = useSearchParams().get("q") ?? "";
  const shown = useMemo(() => (known?.items ?? []).filter((account) => matches(account, search)), [known, search]);
  const kinds = [...new Set(shown.map((account) => account.gateway))].sort();
  const change = async (account: Account, body: object) => {
    setNotice(null);
    try {
      const params = { path: { id: account.id }, header: { "if-match": `"${account.generation}"` } };
      await answer(api.PUT("/api/accounts/{id}", { params, body }));
    } catch (failure) {
      const { status, message } = failure as ApiError;
      setNotice(status === 409 ? words.lostRace(account.id) : words.notDone(words.editAccount(account.id), message));
    }
    reload();
  };
  const close = () => setOpened(null);
  return (
    <Shell page="accounts" title={words.title}>
      <div className="flex min-h-8 flex-wrap items-center gap-3">
        <span aria-hidden className="text-16 font-semibold">{words.title}</span>
        {known && <span className="text-muted">{words.summary(known.items.length, known.items.filter((account) => account.is_enabled).length)}</span>}
        <Search label={words.search} className="ml-auto w-60" text={search} onChange={(to) => router.replace(to ? `/accounts?q=${encodeURIComponent(to)}` : "/accounts", { scroll: false })} />
        <Button impossible={isLost && words.away} onClick={() => setOpened({ sheet: "paste", account: null })}>
          {words.pasteJson}
        </Button>
        <Button look="primary" impossible={isLost && words.away} onClick={() => setOpened({ sheet: "form", account: null })}>
          <Plus className="size-4" aria-hidden />
          {words.newAccount}
        </Button>
      </div>
      {notice !== null && <Failed title={notice} />}
      {error !== null && <Failed title={words.away}>{error.message}. {words.awayHint}</Failed>}
      {known === null && error === null && <Loading rows={4} label={words.loading} />}
      {known?.items.length === 0 && <Empty title={words.none}>{words.noneHint}</Empty>}
      {known !== null && known.items.length > 0 && shown.length === 0 && <Empty title={words.noMatch} />}
      {kinds.map((kind) => {
        const of = shown.filter((account) => account.gateway === kind).sort((a, b) => a.priority - b.priority || (a.id < b.id ? -1 : 1));
        const shared = sharing(of);
        return (
          <Panel
            key={kind}
            id={`kind-${kind}`}
            title={kind.toUpperCase()}
            sub={words.kinds[kind as keyof typeof words.kinds]}
            end={
              shared.length > 0 && (
                <span className="flex items-center gap-1.5 text-12 text-warn-text">
                  <TriangleAlert className="size-3.5" aria-hidden />
                  {words.shared(shared.join(", "))}
                </span>
              )
            }
          >
            <AccountTable accounts={of} onChange={change} onEdit={(account) => setOpened({ sheet: "form", account })} onDelete={(account) => setOpened({ delete: account })} />
          </Panel>
        );
      })}
      {known !== null && known.set_aside.length > 0 && (
        <Panel id="aside" title={words.asideTitle} sub={words.asideSub}>
          <ul className="px-3 py-1">
            {known.set_aside.map(({ id, why }) => (
              <li key={id} className="flex min-h-8 items-center gap-3">
                <span className="font-semibold">{id}</span>
                <span className="text-warn-text">{why}</span>
              </li>
            ))}
          </ul>
        </Panel>
      )}
      {known !== null && known.items.length > 0 && (
        <p className="flex gap-2 text-12 text-muted">
          <Info className="mt-px size-3.5 shrink-0" aria-hidden />
          {words.explained}
        </p>
      )}
      {opened !== null && "sheet" in opened && <AccountSheet account={opened.account} begin={opened.sheet} onClose={close} onSaved={() => { close(); reload(); }} />}
      {opened !== null && "delete" in opened && <DeleteDialog account={opened.delete} onClose={close} onDeleted={() => { close(); reload(); }} />}
    </Shell>
  );
}
