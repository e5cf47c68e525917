// What the hub tells over /ws, and how a message changes what is known. Pure.

import type { Gateway, HubEvent, LogLine } from "@/api/types";

export interface AccountRates {
  ticks_per_s: number;
  win_share: number | null;
  lag_us_p50: number | null;
  lag_us_p99: number | null;
  received: number;
  forwarded: number;
  duplicate: number;
  late: number;
  rejected: number;
  last_tick_age_ms?: number | null;
}

export interface CanaryRates {
  exchange: string;
  vt_symbol?: string;
  last_price?: number | null;
  ticks_per_s?: number | null;
  last_tick_age_ms: number | null;
  by_account: Record<string, number | null>;
}

export interface Rates {
  at_ms: number;
  hub: {
    ticks_per_s: number;
    published: number;
    subscribers: number;
    delivered_per_s: number;
    dropped_per_s: number;
    latency_us_p50?: number | null;
    latency_us_p99?: number | null;
    alerts_open?: number;
    alerts_waiting?: number;
  };
  accounts: Record<string, AccountRates>;
  canaries: CanaryRates[];
}

export interface Section {
  exchange: string;
  phase: "open" | "auction" | "closed" | "post_close";
  products: string[];
  until_ms: number | null;
}

export interface HubState {
  /** When the hub started, nanoseconds since the epoch. */
  epoch?: string | null;
  desired: { state: "unread" | "fresh" | "stale" | "suspicious"; since_ms: number; revision: string | null; message: string };
  settings: { since_ms: number; refused: string | null; restart_needed: string[] };
  silent_markets: string[];
  sections: { always_open: boolean; items?: Section[]; calendar_days_left?: number | null };
}

export interface HubPicture {
  revision: number;
  gateways: Record<string, Gateway>;
  hub: HubState | null;
  rates: Rates | null;
  /** Newest first. */
  events: HubEvent[];
}

export type Message =
  | {
      type: "snapshot";
      revision: number;
      state: { gateways: Gateway[]; hub: HubState; rates: Rates | null; events: HubEvent[] };
    }
  | { type: "event"; revision: number; topic: "gateways"; items: Gateway[] }
  | { type: "event"; revision: number; topic: "removed"; ids: string[] }
  | { type: "event"; revision: number; topic: "hub"; hub: HubState }
  | { type: "event"; revision: number; topic: "rates"; rates: Rates }
  | { type: "event"; revision: number; topic: "event"; event: HubEvent }
  | { type: "log"; items: LogLine[]; dropped: number };

/** So many events are kept on a page that stays open for days. */
export const EVENTS_KEPT = 500;

export const NOTHING: HubPicture = { revision: 0, gateways: {}, hub: null, rates: null, events: [] };

/** The picture after a message; null where a message is missing before it, so that only a new snapshot helps. */
export function after(picture: HubPicture, message: Exclude<Message, { type: "log" }>): HubPicture | null {
  const { revision } = message;
  if (message.type === "snapshot") {
    const { gateways, hub, rates, events } = message.state;
    return { revision, hub, rates, events, gateways: Object.fromEntries(gateways.map((item) => [item.id, item])) };
  }
  if (revision !== picture.revision + 1) return null;
  switch (message.topic) {
    case "gateways": {
      const changed = Object.fromEntries(message.items.map((item) => [item.id, item]));
      return { ...picture, revision, gateways: { ...picture.gateways, ...changed } };
    }
    case "removed": {
      const left = Object.entries(picture.gateways).filter(([id]) => !message.ids.includes(id));
      return { ...picture, revision, gateways: Object.fromEntries(left) };
    }
    case "hub":
      return { ...picture, revision, hub: message.hub };
    case "rates":
      return { ...picture, revision, rates: message.rates };
    case "event":
      return { ...picture, revision, events: [message.event, ...picture.events].slice(0, EVENTS_KEPT) };
  }
}
