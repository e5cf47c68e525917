import type { Metadata } from "next";
import { Suspense } from "react";

import { Logs } from "@/components/logs/logs";

export const metadata: Metadata = { title: "Logs" };

export default function LogsPage() {
  return (
    <Suspense>
      <Logs />
    </Suspense>
  );
}
