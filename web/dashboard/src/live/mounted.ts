import { useSyncExternalStore } from "react";

const never = () => () => undefined;

/** False while the page is what was built, true in the browser: only there it is known who looks, and what they chose. */
export function useMounted(): boolean {
  return useSyncExternalStore(
    never,
    () => true,
    () => false,
  );
}
