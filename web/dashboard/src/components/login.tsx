"use client";

import { CircleAlert, Info } from "lucide-react";
import { useRouter } from "next/navigation";
import { type FormEvent, useEffect, useState } from "react";

import { answer, api, ApiError } from "@/api/client";
import { Button } from "@/components/ui/button";
import { Field } from "@/components/ui/field";
import { useLink } from "@/live/link";
import { useMounted } from "@/live/mounted";
import { loginWords } from "@/words/login";
import { useWords } from "@/words/words";

import { nextPage } from "./next-page";

export function Login() {
  const words = useWords(loginWords);
  const router = useRouter();
  const isExpired = useLink((link) => link.expired);
  const isMounted = useMounted();
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  useEffect(() => {
    document.title = `${words.title} · mdhub`;
  }, [words]);
  const logIn = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    setBusy(true);
    try {
      const body = { username: String(form.get("username")), password: String(form.get("password")) };
      const session = await answer(api.POST("/api/session", { body }));
      useLink.getState().loggedIn(session.username);
      router.replace(nextPage(location.search, location.origin));
    } catch (failure) {
      const { status, message } = failure as ApiError;
      setError(status === 401 ? words.wrong : status === 429 ? words.slowed : status === 0 ? words.away : words.failed(message));
      setBusy(false);
    }
  };
  if (!isMounted) return <main className="h-dvh" />;
  return (
    <main className="grid h-dvh place-items-center">
      <form method="post" onSubmit={logIn} className="w-[360px] max-w-[94vw] rounded-l border border-border bg-panel px-8 pt-8 pb-6">
        <h1 className="mb-5 text-16 font-semibold">mdhub</h1>
        <div className="flex flex-col gap-4">
          <Field label={words.user} name="username" autoComplete="username" required autoFocus className="h-[38px] text-14" />
          <Field label={words.password} name="password" type="password" autoComplete="current-password" required className="h-[38px] text-14" />
        </div>
        <div role="alert" className="flex min-h-11 items-center gap-2 py-1.5 text-12">
          {error !== null && (
            <span className="flex items-center gap-2 text-bad-text">
              <CircleAlert className="size-4 shrink-0" aria-hidden />
              {error}
            </span>
          )}
          {error === null && isExpired && (
            <span className="flex items-center gap-2 text-muted">
              <Info className="size-4 shrink-0" aria-hidden />
              {words.expired}
            </span>
          )}
        </div>
        <Button type="submit" look="primary" aria-busy={isBusy} className="h-[38px] w-full text-14">
          {words.logIn}
        </Button>
      </form>
    </main>
  );
}
