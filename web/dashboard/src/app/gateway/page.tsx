import type { Metadata } from "next";
import { Suspense } from "react";

import { GatewayPage } from "@/components/gateway/gateway";

export const metadata: Metadata = { title: "Gateway" };

export default function Page() {
  return (
    <Suspense>
      <GatewayPage />
    </Suspense>
  );
}
