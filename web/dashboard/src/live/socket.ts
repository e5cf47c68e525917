// The WebSocket: kept open, opened again, and closed with the login.

import { answer, api, ApiError } from "@/api/client";

import { useLink } from "./link";
import { takeLines, wanted, onWanted } from "./lines";
import type { Message } from "./state";
import { take, useHub } from "./store";

/** The hub tells its rates several times a second: when it says nothing for so long, the link is gone. */
const SILENCE_MS = 5_000;
const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 8_000;

/** How long to wait before try number `n`, from 1: doubled each time, and never all pages at once. */
export function pause(n: number, random: number): number {
  return Math.round(Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** (n - 1)) * (0.75 + random / 2));
}

/** Keeps the page's picture of the hub fresh until the returned function is called. */
export function follow(): () => void {
  let socket: WebSocket | null = null;
  let tries = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isEnded = false;

  const listen = () => {
    clearTimeout(timer);
    timer = setTimeout(lost, SILENCE_MS);
  };
  const lost = () => {
    clearTimeout(timer);
    const old = socket;
    socket = null;
    old?.close();
    if (isEnded) return;
    tries += 1;
    const wait = pause(tries, Math.random());
    const before = useLink.getState().state;
    const sinceMs = before.is === "lost" ? before.sinceMs : useHub.getState().heardAtMs || Date.now();
    useLink.getState().set({ is: "lost", sinceMs, retryAtMs: Date.now() + wait });
    timer = setTimeout(retry, wait);
  };
  const retry = async () => {
    try {
      await answer(api.GET("/api/session"));
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return useLink.getState().loggedOut();
      return lost();
    }
    if (!isEnded) open();
  };
  const open = () => {
    const mine = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
    socket = mine;
    listen();
    mine.onopen = () => say(mine);
    mine.onmessage = (event: MessageEvent<string>) => {
      if (socket !== mine) return;
      listen();
      const message = JSON.parse(event.data) as Message;
      if (message.type === "log") return takeLines(message);
      if (!take(message, Date.now())) return lost();
      tries = 0;
      if (useLink.getState().state.is !== "live") useLink.getState().set({ is: "live" });
    };
    mine.onclose = () => {
      if (socket === mine) lost();
    };
  };
  const say = (to: WebSocket | null) => {
    if (to?.readyState !== WebSocket.OPEN) return;
    const filter = wanted();
    to.send(JSON.stringify(filter ? { subscribe: "logs", ...filter } : { unsubscribe: "logs" }));
  };
  const unwatch = onWanted(() => say(socket));

  open();
  return () => {
    isEnded = true;
    unwatch();
    clearTimeout(timer);
    socket?.close();
    socket = null;
  };
}
