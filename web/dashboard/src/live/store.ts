// What the hub is at, as the page knows it, from one WebSocket.

import { create } from "zustand";

import { History } from "./history";
import { after, type HubPicture, type Message, NOTHING } from "./state";

interface HubStore extends HubPicture {
  /** When the last message came, by this machine's clock. */
  heardAtMs: number;
  /** The hub's clock minus this machine's. */
  skewMs: number;
}

export const useHub = create<HubStore>()(() => ({ ...NOTHING, heardAtMs: 0, skewMs: 0 }));

/** The last half hour; it is no state, since what shows it is drawn with the rates. */
export const history = new History();

/** Takes a message in; false where only a new snapshot helps. */
export function take(message: Exclude<Message, { type: "log" }>, nowMs: number): boolean {
  const next = after(useHub.getState(), message);
  if (next === null) return false;
  const rates = message.type === "snapshot" ? message.state.rates : message.type === "event" && message.topic === "rates" ? message.rates : null;
  if (rates) history.take(rates);
  useHub.setState({ ...next, heardAtMs: nowMs, ...(rates ? { skewMs: rates.at_ms - nowMs } : {}) });
  return true;
}
