import type { Metadata } from "next";
import { Suspense } from "react";

import { Clients } from "@/components/clients/clients";

export const metadata: Metadata = { title: "Clients" };

export default function ClientsPage() {
  return (
    <Suspense>
      <Clients />
    </Suspense>
  );
}
