import { Activity, KeyRound, List, ScrollText, ShieldX, Wifi, type LucideIcon } from "lucide-react";

export type Page = "status" | "accounts" | "contracts" | "clients" | "logs" | "quarantine";

/** The pages, in the order of the sidebar; `g` and then `key` goes there. */
export const PAGES: readonly { page: Page; href: string; key: string; icon: LucideIcon }[] = [
  { page: "status", href: "/", key: "s", icon: Activity },
  { page: "accounts", href: "/accounts", key: "a", icon: KeyRound },
  { page: "contracts", href: "/contracts", key: "c", icon: List },
  { page: "clients", href: "/clients", key: "n", icon: Wifi },
  { page: "logs", href: "/logs", key: "l", icon: ScrollText },
  { page: "quarantine", href: "/quarantine", key: "q", icon: ShieldX },
];
