"use client";

import Link from "next/link";

import { useMounted } from "@/live/mounted";
import { shellWords } from "@/words/shell";
import { useWords } from "@/words/words";

export function NotFound() {
  const words = useWords(shellWords);
  if (!useMounted()) return <main className="h-dvh" />;
  return (
    <main className="grid h-dvh place-items-center">
      <div className="text-center">
        <h1 className="text-16 font-semibold">{words.notFound}</h1>
        <p className="mt-1 mb-4 text-muted">{words.notFoundHint}</p>
        <Link href="/" className="text-link underline">
          {words.toStatus}
        </Link>
      </div>
    </main>
  );
}
