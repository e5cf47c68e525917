"use client";

import { X } from "lucide-react";
import { useRouter, useSearchParams } from "next/navigation";
import { useState } from "react";

import { answer, api } from "@/api/client";
import type { ContractState } from "@/api/types";
import { Shell } from "@/components/shell/shell";
import { Chip, Segmented } from "@/components/ui/field";
import { Empty, Failed, Loading, Panel } from "@/components/ui/panel";
import { Search } from "@/components/ui/search";
import { count } from "@/format/number";
import { useAsked } from "@/live/asked";
import { contractWords } from "@/words/contracts";
import { useWords } from "@/words/words";

import { ContractList } from "./list";
import { choices, shownOf, WINDOW, windowOf } from "./window";

const EVERY_MS = 1_000;

const STATES = ["all", "ticking", "silent", "missing", "closed"] as const;
type Shown = (typeof STATES)[number];

/** What is looked for, as it stands in the page's address. */
interface Wanted {
  q: string;
  state: Shown;
  exchange: string;
  account: string;
}

async function part(search: Wanted, offset: number) {
  const { q, state, exchange, account } = search;
  const filter = { ...(state !== "all" && { state: state as ContractState }), ...(q && { query: q }), ...(exchange && { exchange }), ...(account && { account }) };
  const page = await answer(api.GET("/api/contracts", { params: { query: { ...filter, offset, limit: WINDOW } } }));
  return { ...page, offset, of: JSON.stringify(search) };
}

type Coverage = Awaited<ReturnType<typeof part>>["coverage"];

function Bar({ name, n, of }: { name: string; n: number; of: number }) {
  const share = of === 0 ? 0 : Math.min(1, n / of);
  return (
    <>
      <dt className="text-12 text-muted">{name}</dt>
      <dd className="contents">
        <svg viewBox="0 0 100 7" preserveAspectRatio="none" className="h-[7px] w-full rounded-s border border-edge bg-inset" aria-hidden>
          <rect width={share * 100} height="7" fill="var(--ok-bar)" />
        </svg>
        <span className="text-right">{count(n)}</span>
      </dd>
    </>
  );
}

function CoveragePanel({ coverage }: { coverage: Coverage }) {
  const words = useWords(contractWords);
  const { desired, acknowledged, ticking, missing, missing_total } = coverage;
  return (
    <section aria-label={words.coverage} className="grid grid-cols-[auto_minmax(0,1fr)] items-center gap-x-8 gap-y-2.5 rounded-m border border-border bg-panel px-4 py-3">
      <div>
        <p className="text-24">
          {desired === 0 ? "—" : ((ticking / desired) * 100).toFixed(1)}
          <span className="ml-1 text-11 text-muted">%</span>
        </p>
        <p className="text-12 text-muted">{words.tickingOf(count(ticking), count(desired))}</p>
      </div>
      <dl className="grid grid-cols-[110px_minmax(0,1fr)_60px] items-center gap-x-3 gap-y-1">
        <Bar name={words.desired} n={desired} of={desired} />
        <Bar name={words.acknowledged} n={acknowledged} of={desired} />
        <Bar name={words.states.ticking} n={ticking} of={desired} />
      </dl>
      {missing_total > 0 && (
        <p className="col-span-2 border-t border-border pt-2.5 text-12">
          <span className="text-warn-text">{words.missing(count(missing_total))}</span> {missing.join(", ")}
          {missing_total > missing.length && <span className="text-muted"> {words.andMore(count(missing_total - missing.length))}</span>}
        </p>
      )}
    </section>
  );
}

/** The part of the list that is in sight, and what it is a part of. */
function useContracts(search: Wanted) {
  const key = JSON.stringify(search);
  const [top, setTop] = useState({ of: key, first: 0 });
  // Another search begins at its top, wherever the list of the one before stands.
  const from = windowOf(top.of === key ? top.first : 0);
  const { data, error } = useAsked(`${key} ${from}`, EVERY_MS, () => part(search, from));
  return { data, error, key, setTop };
}

/** What is to tick, and what does. */
export function Contracts() {
  const words = useWords(contractWords);
  const router = useRouter();
  const asked = useSearchParams();
  const search: Wanted = {
    q: asked.get("q") ?? "",
    state: STATES.find((one) => one === asked.get("state")) ?? "all",
    exchange: asked.get("exchange") ?? "",
    account: asked.get("account") ?? "",
  };
  const show = (change: Partial<Wanted>) => {
    const next = new URLSearchParams(Object.entries({ ...search, ...change }).filter(([, value]) => value !== "" && value !== "all"));
    router.replace(next.size > 0 ? `/contracts?${next}` : "/contracts", { scroll: false });
  };
  const { data, error, key, setTop } = useContracts(search);
  const list = shownOf(data, key, error !== null);
  return (
    <Shell page="contracts" title={words.title}>
      <div className="flex min-h-8 flex-wrap items-center gap-3">
        <span aria-hidden className="text-16 font-semibold">{words.title}</span>
        <Search label={words.search} className="w-72" text={search.q} onChange={(q) => show({ q })} />
        <Segmented label={words.state} value={search.state} options={STATES.map((value) => ({ value, label: words.states[value] }))} onChange={(state) => show({ state })} />
        {search.account && (
          <Chip pressed onClick={() => show({ account: "" })}>
            {words.ofAccount(search.account)}
            <X className="size-3" aria-hidden />
          </Chip>
        )}
        <div role="group" aria-label={words.exchange} className="ml-auto flex flex-wrap gap-1.5">
          {choices(data?.exchanges ?? [], search.exchange).map((of) => (
            <Chip key={of.exchange} pressed={of.exchange === search.exchange} onClick={() => show({ exchange: of.exchange === search.exchange ? "" : of.exchange })}>
              {of.exchange}
              <span className="text-muted">{count(of.desired)}</span>
            </Chip>
          ))}
        </div>
      </div>
      {error !== null && <Failed title={words.failed}>{error.message}</Failed>}
      {data && <CoveragePanel coverage={data.coverage} />}
      <Panel id="contracts" title={words.list} sub={list && words.shown(count(list.total))} className="min-h-72 flex-1">
        {data === null && error === null && <Loading rows={8} label={words.loading} />}
        {list?.total === 0 && <Empty title={words.none}>{words.noneHint}</Empty>}
        {list !== null && list.total > 0 && <ContractList key={list.of} part={list} isOld={list.of !== key} onFirst={(first) => setTop({ of: list.of, first })} />}
      </Panel>
    </Shell>
  );
}
