// What a gateway's phase and conditions mean on the page: three badges, and whether somebody must act. Pure.

import type { Gateway } from "@/api/types";

import { isDesired, marketOf } from "./overall";

export type Desired = "Running" | "Stopped";
export type Observed = "Stopped" | "Starting" | "Connecting" | "Running" | "CoolingDown" | "Blocked" | "Stopping";
export type Health = "Healthy" | "Degraded" | "Unhealthy" | "CrashLoop" | "NotJudged";

export interface Judged {
  desired: Desired;
  observed: Observed;
  health: Health;
  /** `warn`: the hub is on it; `bad`: a person must act; `off`: it is not meant to run. */
  tone: "warn" | "bad" | "off" | undefined;
}

const AWAY: readonly string[] = ["Stopped", "Starting", "Connecting", "CoolingDown", "Blocked", "Stopping"];

function holds(gateway: Gateway, type: string): boolean {
  return gateway.conditions.some((condition) => condition.type === type && condition.status === "True");
}

export function judged(gateway: Gateway): Judged {
  const { phase } = gateway;
  const desired: Desired = isDesired(gateway) ? "Running" : "Stopped";
  const observed = (AWAY.includes(phase) ? phase : "Running") as Observed;
  let health: Health = "NotJudged";
  if (holds(gateway, "CrashLoop")) health = "CrashLoop";
  else if (phase === "CoolingDown") health = "Unhealthy";
  else if (!AWAY.includes(phase)) health = phase as Health;
  const isBad = health === "CrashLoop" || observed === "Blocked";
  const isWarned = health === "Degraded" || health === "Unhealthy" || observed === "CoolingDown";
  return { desired, observed, health, tone: isBad ? "bad" : isWarned ? "warn" : desired === "Stopped" ? "off" : undefined };
}

/** By market, then priority, then id: an update never moves a row. */
export function ordered(gateways: Record<string, Gateway>): Gateway[] {
  const key = (gateway: Gateway) => [marketOf(gateway), String(gateway.priority ?? 0).padStart(6, "0"), gateway.id].join(" ");
  return Object.values(gateways).sort((a, b) => (key(a) < key(b) ? -1 : 1));
}
