import type { Metadata } from "next";
import { Suspense } from "react";

import { Quarantine } from "@/components/quarantine/quarantine";

export const metadata: Metadata = { title: "Quarantine" };

export default function QuarantinePage() {
  return (
    <Suspense>
      <Quarantine />
    </Suspense>
  );
}
