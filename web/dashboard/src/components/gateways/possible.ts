// What can be done with a gateway, and what it would cost. Pure.

import type { Gateway } from "@/api/types";
import { isDesired, isWell, marketOf } from "@/live/overall";

export type Action = "start" | "stop" | "restart";
export type Refusal = "disabled" | "isRunning" | "isStopped" | "stoppedFirst";

/** Why an action makes no sense now; null where it does. */
export function refusal(action: Action, gateway: Gateway): Refusal | null {
  if (!gateway.is_enabled) return "disabled";
  if (action === "start") return gateway.suspended ? null : "isRunning";
  if (!gateway.suspended) return null;
  return action === "stop" ? "isStopped" : "stoppedFirst";
}

/** The other sources of its market that deliver. */
export function others(gateway: Gateway, all: readonly Gateway[]): Gateway[] {
  return all.filter((one) => one.id !== gateway.id && marketOf(one) === marketOf(gateway) && isDesired(one) && isWell(one));
}

/** Whether ending its process now leaves its market without anybody who delivers. */
export function isLast(gateway: Gateway, all: readonly Gateway[]): boolean {
  const delivers = isDesired(gateway) && (gateway.phase === "Healthy" || gateway.phase === "Degraded");
  return delivers && others(gateway, all).length === 0;
}
