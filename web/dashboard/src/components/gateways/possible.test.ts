import { expect, test } from "vitest";

import type { Gateway } from "@/api/types";

import { isLast, others, refusal } from "./possible";

function gateway(id: string, over: Partial<Gateway> = {}): Gateway {
  return { id, phase: "Healthy", kind: "ctp", is_enabled: true, suspended: false, conditions: [], ...over } as Gateway;
}

test("what makes no sense is refused with its reason", () => {
  const of = (over: Partial<Gateway>) => (["start", "stop", "restart"] as const).map((action) => refusal(action, gateway("a", over)));
  expect(of({})).toEqual(["isRunning", null, null]);
  expect(of({ suspended: true })).toEqual([null, "isStopped", "stoppedFirst"]);
  expect(of({ is_enabled: false })).toEqual(["disabled", "disabled", "disabled"]);
  expect(of({ phase: "Blocked" })).toEqual(["isRunning", null, null]);
});

test("the last that delivers is known, whatever the others are", () => {
  const a = gateway("a");
  expect(isLast(a, [a, gateway("b")])).toBe(false);
  for (const other of [gateway("b", { phase: "Unhealthy" }), gateway("b", { suspended: true }), gateway("b", { kind: "sopt" }), gateway("b", { kind: "vnpy", dialect: "sopt" })]) {
    expect(isLast(a, [a, other])).toBe(true);
  }
  // What delivers nothing has nothing to lose.
  const sick = gateway("a", { phase: "CoolingDown" });
  expect(isLast(sick, [sick])).toBe(false);
  expect(others(a, [a, gateway("b"), gateway("c")]).map((one) => one.id)).toEqual(["b", "c"]);
});

test("a gateway of vnpy stands in for the one whose contracts it carries", () => {
  const native = gateway("a", { dialect: "ctp" });
  expect(others(native, [native, gateway("v", { kind: "vnpy", dialect: "ctp" })]).map((one) => one.id)).toEqual(["v"]);
  expect(isLast(native, [native, gateway("v", { kind: "vnpy", dialect: "ctp" })])).toBe(false);
});
