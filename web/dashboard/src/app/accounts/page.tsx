import type { Metadata } from "next";
import { Suspense } from "react";

import { Accounts } from "@/components/accounts/accounts";

export const metadata: Metadata = { title: "Accounts" };

export default function AccountsPage() {
  return (
    <Suspense>
      <Accounts />
    </Suspense>
  );
}
