/** Where a login leads: only to a page of this hub. Nobody is sent elsewhere by a crafted link, however it is written. */
export function nextPage(search: string, origin: string): string {
  const next = new URLSearchParams(search).get("next") ?? "/";
  try {
    const url = new URL(next, origin);
    const isOurs = url.origin === origin && !url.pathname.startsWith("//") && !url.pathname.startsWith("/login");
    return isOurs ? url.pathname + url.search : "/";
  } catch {
    return "/";
  }
}
