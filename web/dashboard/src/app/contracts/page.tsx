import type { Metadata } from "next";
import { Suspense } from "react";

import { Contracts } from "@/components/contracts/contracts";

export const metadata: Metadata = { title: "Contracts" };

export default function ContractsPage() {
  return (
    <Suspense>
      <Contracts />
    </Suspense>
  );
}
