"use client";

import { useRouter, useSearchParams } from "next/navigation";

import { answer, api } from "@/api/client";
import type { ContractItem, ContractState } from "@/api/types";
import { Shell } from "@/components/shell/shell";
import { Segmented } from "@/components/ui/field";
import { Empty, Failed, Loading, Panel } from "@/components/ui/panel";
import { Search } from "@/components/ui/search";
import { count } from "@/format/number";
import { useAsked } from "@/live/asked";
import { contractWords } from "@/words/contracts";
import { useWords } from "@/words/words";

import { ContractList } from "./list";

const EVERY_MS = 1_000;
/** Long lists are asked for less often. */
const LONG = 2_000;
const LONG_EVERY_MS = 5_000;
/** Asked for at once. */
const PAGE = 1_000;
/** More than that nobody looks through; the search is the hub's. */
const PAGES_MAX = 20;

const STATES = ["all", "ticking", "silent", "missing", "closed"] as const;
type Shown = (typeof STATES)[number];

/** All pages of a list, one behind the other. */
async function all(state: Shown, query: string) {
  const items: ContractItem[] = [];
  let after: string | undefined;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const filter = { ...(state === "all" ? {} : { state: state as ContractState }), ...(query ? { query } : {}), ...(after ? { after } : {}) };
    const got = await answer(api.GET("/api/contracts", { params: { query: { ...filter, limit: PAGE } } }));
    items.push(...got.items);
    if (!got.next) return { items, coverage: got.coverage };
    after = got.next;
    if (page === PAGES_MAX - 1) return { items, coverage: got.coverage };
  }
  throw new Error("there is always a page");
}

type Coverage = Awaited<ReturnType<typeof all>>["coverage"];

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

/** What is to tick, and what does. */
export function Contracts() {
  const words = useWords(contractWords);
  const router = useRouter();
  const asked = useSearchParams();
  const query = asked.get("q") ?? "";
  const state: Shown = STATES.find((one) => one === asked.get("state")) ?? "all";
  const show = (change: { q?: string; state?: Shown }) => {
    const next = new URLSearchParams(Object.entries({ q: query, state, ...change }).filter(([, value]) => value !== "" && value !== "all"));
    router.replace(next.size > 0 ? `/contracts?${next}` : "/contracts", { scroll: false });
  };
  const { data, error } = useAsked(
    `${state} ${query}`,
    (got) => (got.items.length > LONG ? LONG_EVERY_MS : EVERY_MS),
    () => all(state, query),
  );
  return (
    <Shell page="contracts" title={words.title}>
      <div className="flex min-h-8 flex-wrap items-center gap-3">
        <span aria-hidden className="text-16 font-semibold">{words.title}</span>
        <Search label={words.search} className="w-72" text={query} onChange={(q) => show({ q })} />
        <Segmented label={words.state} value={state} options={STATES.map((value) => ({ value, label: words.states[value] }))} onChange={(to) => show({ state: to })} />
      </div>
      {error !== null && <Failed title={words.failed}>{error.message}</Failed>}
      {data && <CoveragePanel coverage={data.coverage} />}
      <Panel id="contracts" title={words.list} sub={data && words.shown(count(data.items.length))} className="min-h-72 flex-1">
        {data === null && error === null && <Loading rows={8} label={words.loading} />}
        {data?.items.length === 0 && <Empty title={words.none}>{words.noneHint}</Empty>}
        {data !== null && data.items.length > 0 && <ContractList items={data.items} />}
      </Panel>
    </Shell>
  );
}
