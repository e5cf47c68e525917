// What the accounts page decides. Pure.

import type { Account, Pasted } from "@/api/types";

/** What a person has filled in. */
export interface Filled {
  id: string;
  gateway: Account["gateway"];
  priority: string;
  user_id: string;
  broker_id: string;
  /** One a line. */
  fronts: string;
  library: string;
  password: string;
  description: string;
}

export const BLANK: Filled = { id: "", gateway: "ctp", priority: "1", user_id: "", broker_id: "", fronts: "", library: "", password: "", description: "" };

/** The form of an account as it is; the password never comes from the hub. */
export function filled(account: Account): Filled {
  const { id, gateway, priority, description, settings } = account;
  return { ...BLANK, id, gateway, description, priority: String(priority), user_id: settings.user_id, broker_id: settings.broker_id, fronts: settings.md_address.join("\n"), library: settings.library };
}

/** Lines without blanks around them. */
export function lines(text: string): string[] {
  return text.split(/[\n,;]/).map((line) => line.trim()).filter(Boolean);
}

/** The document of a form. An empty password is left out: the saved one stays. */
export function draft(form: Filled) {
  const { id, gateway, user_id, broker_id, library, password, description } = form;
  const settings = { user_id, broker_id, library, md_address: lines(form.fronts) };
  return { id, gateway, priority: Number(form.priority), description, settings, ...(password === "" ? {} : { password }) };
}

/** Whether the saved password no longer counts: it was given for other fronts, or another library. */
export function mustResend(form: Filled, before: Account | null): boolean {
  if (before === null || !before.has_password || form.password !== "") return false;
  return form.library !== before.settings.library || lines(form.fronts).join() !== before.settings.md_address.join();
}

/** The password in a pasted document, wherever it stands: the hub does not give it back. */
export function passwordIn(text: string): string {
  const look = (value: unknown): string => {
    if (typeof value !== "object" || value === null) return "";
    for (const [key, inner] of Object.entries(value)) {
      if ((key === "密码" || key === "password") && typeof inner === "string") return inner;
      const found = look(inner);
      if (found !== "") return found;
    }
    return "";
  };
  try {
    return look(JSON.parse(text));
  } catch {
    return "";
  }
}

/** A form with what was pasted; what the document does not say stays. */
export function withPasted(form: Filled, { account }: Pasted, text: string): Filled {
  const { settings } = account;
  return {
    ...form,
    id: account.id ?? form.id,
    gateway: (account.gateway as Filled["gateway"] | null | undefined) ?? form.gateway,
    user_id: settings.user_id,
    broker_id: settings.broker_id,
    fronts: settings.md_address.join("\n"),
    library: settings.library ?? form.library,
    password: passwordIn(text),
  };
}

/** Accounts of one kind that connect to the same front, by id: two of them are no redundancy. */
export function sharing(accounts: readonly Account[]): string[] {
  const byFront = new Map<string, string[]>();
  for (const { id, settings } of accounts.filter((account) => account.is_enabled)) {
    for (const front of settings.md_address) byFront.set(front, [...(byFront.get(front) ?? []), id]);
  }
  const shared = [...byFront.values()].find((ids) => new Set(ids).size > 1);
  return shared ? [...new Set(shared)] : [];
}

/** Whether an account is what was searched for. */
export function matches(account: Account, text: string): boolean {
  const { id, gateway, description, settings } = account;
  const all = [id, gateway, description, settings.user_id, settings.broker_id, ...settings.md_address].join(" ").toLowerCase();
  return text.toLowerCase().split(/\s+/).every((word) => all.includes(word));
}
