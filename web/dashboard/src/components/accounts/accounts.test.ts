import { expect, test } from "vitest";

import type { Account, Pasted } from "@/api/types";

import { whole } from "./trial";
import { BLANK, draft, filled, lines, matches, mustResend, passwordIn, sharing, withPasted } from "./pure";

function account(id: string, front = "tcp://1.2.3.4:1", over: Partial<Account> = {}): Account {
  const settings = { user_id: "u", broker_id: "9999", md_address: [front], library: "sim" };
  return { id, gateway: "ctp", settings, has_password: true, priority: 1, is_enabled: true, suspended: false, generation: 1, restart_generation: 0, description: "d", created_at_ms: 0, updated_at_ms: 0, ...over };
}

test("a form goes there and back, and an empty password is left out", () => {
  const before = account("a");
  expect(draft(filled(before))).toEqual({ id: "a", gateway: "ctp", priority: 1, description: "d", settings: before.settings });
  expect(draft({ ...filled(before), password: "p" })).toHaveProperty("password", "p");
  expect(lines(" tcp://a:1 \n\n tcp://b:2, tcp://c:3")).toEqual(["tcp://a:1", "tcp://b:2", "tcp://c:3"]);
});

test("another front or library needs the password again, all else does not", () => {
  const before = account("a");
  const form = filled(before);
  expect(mustResend({ ...form, priority: "5", description: "x", user_id: "v" }, before)).toBe(false);
  expect(mustResend({ ...form, fronts: "tcp://9.9.9.9:1" }, before)).toBe(true);
  expect(mustResend({ ...form, library: "real" }, before)).toBe(true);
  expect(mustResend({ ...form, library: "real", password: "p" }, before)).toBe(false);
  expect(mustResend({ ...form, library: "real" }, null)).toBe(false);
});

test("the password is found in each shape that people paste", () => {
  expect(passwordIn('{"用户名": "u", "密码": "a"}')).toBe("a");
  expect(passwordIn('{"name": "x", "connect_setting": {"password": "b"}}')).toBe("b");
  expect(["", "{", "[]", '{"密码": 5}', "null"].map(passwordIn)).toEqual(["", "", "", "", ""]);
});

test("what was pasted fills the form and leaves what it does not say", () => {
  const pasted: Pasted = { account: { has_password: true, settings: { user_id: "7", broker_id: "8", md_address: ["tcp://x:1"] } }, unknown_keys: [] };
  const form = withPasted({ ...BLANK, id: "mine", library: "sim" }, pasted, '{"密码": "s"}');
  expect(form).toMatchObject({ id: "mine", gateway: "ctp", user_id: "7", fronts: "tcp://x:1", library: "sim", password: "s" });
});

test("two accounts on one front are no redundancy, unless one is out of the pool", () => {
  expect(sharing([account("a"), account("b"), account("c", "tcp://other:1")])).toEqual(["a", "b"]);
  expect(sharing([account("a"), account("b", undefined, { is_enabled: false })])).toEqual([]);
});

test("a stream that comes in pieces is read line by line", () => {
  const first = whole("", '{"a":1}\n{"b"');
  expect(first).toEqual({ lines: ['{"a":1}'], rest: '{"b"' });
  expect(whole(first.rest, ":2}\n\n")).toEqual({ lines: ['{"b":2}'], rest: "" });
});

test("a search looks at all that is shown", () => {
  expect(["a", "9999 ctp", "1.2.3", "D"].map((text) => matches(account("a"), text))).toEqual([true, true, true, true]);
  expect(matches(account("a"), "a zzz")).toBe(false);
});
