"use client";

import { Suspense } from "react";

import { Shell } from "@/components/shell/shell";
import { shellWords } from "@/words/shell";
import { useWords } from "@/words/words";

import { Canaries } from "./canaries";
import { Charts } from "./charts";
import { Gateways } from "./gateways";
import { HubPanel } from "./hub";
import { ReportPanel } from "./report-card";
import { Timeline } from "./timeline";

/** The whole hub in five seconds. */
export function Status() {
  const words = useWords(shellWords);
  return (
    <Shell page="status" title={words.status}>
      <Canaries />
      <ReportPanel />
      <Gateways />
      <div className="grid min-h-0 flex-1 grid-cols-[minmax(0,1fr)_452px] gap-3 max-wide:grid-cols-1 max-wide:flex-none">
        <Suspense>
          <Timeline />
        </Suspense>
        <div className="flex min-w-0 flex-col gap-3">
          <Charts />
          <HubPanel />
        </div>
      </div>
    </Shell>
  );
}
