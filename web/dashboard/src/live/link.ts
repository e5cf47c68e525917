// How the page and the hub stand to each other.

import { create } from "zustand";

export type LinkState =
  /** Nothing has come yet. */
  | { is: "connecting" }
  /** What is shown is what the hub is at. */
  | { is: "live" }
  /** What is shown is of `sinceMs`; the next try is at `retryAtMs`. */
  | { is: "lost"; sinceMs: number; retryAtMs: number };

interface Link {
  state: LinkState;
  /** Who is logged in; null while nobody is, undefined before that is known. */
  user: string | null | undefined;
  /** The login ended by itself. */
  expired: boolean;
  set: (state: LinkState) => void;
  loggedIn: (user: string) => void;
  loggedOut: () => void;
  leave: () => void;
}

/** The name of whoever logged in last, in this browser: without one there is no login to ask the hub about. */
const NAME = "mdhub-user";

/** Whether somebody has logged in here and not out again. */
export function mayBeLoggedIn(): boolean {
  return localStorage.getItem(NAME) !== null;
}

export const useLink = create<Link>()((set) => ({
  state: { is: "connecting" },
  user: undefined,
  expired: false,
  set: (state) => set({ state }),
  loggedIn: (user) => {
    localStorage.setItem(NAME, user);
    set({ user, expired: false });
  },
  loggedOut: () => {
    localStorage.removeItem(NAME);
    set({ user: null, expired: true });
  },
  leave: () => {
    localStorage.removeItem(NAME);
    set({ user: null, expired: false });
  },
}));
