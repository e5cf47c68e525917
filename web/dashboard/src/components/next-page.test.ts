import { expect, test } from "vitest";

import { nextPage } from "./next-page";

const ORIGIN = "http://hub:8080";

test("a login leads back to where somebody was", () => {
  const of = (next: string) => nextPage(`?next=${encodeURIComponent(next)}`, ORIGIN);
  expect([of("/"), of("/logs?account=a&level=warn"), of(`${ORIGIN}/accounts`), nextPage("", ORIGIN)]).toEqual(["/", "/logs?account=a&level=warn", "/accounts", "/"]);
});

test("and never elsewhere", () => {
  const tricks = ["//evil.example", "/\\evil.example", "/\t/evil.example", "/.//evil.example", "https://evil.example/", "javascript:alert(1)", "data:text/html,x", "http://hub:8081/", "/login?next=/", "http://["];
  expect(tricks.map((next) => nextPage(`?next=${encodeURIComponent(next)}`, ORIGIN))).toEqual(tricks.map(() => "/"));
});
