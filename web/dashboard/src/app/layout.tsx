import "./globals.css";

import type { Metadata } from "next";
import type { ReactNode } from "react";

export const metadata: Metadata = { title: { default: "mdhub", template: "%s · mdhub" } };

export default function Layout({ children }: { children: ReactNode }) {
  return (
    <html lang="en" data-theme="dark" suppressHydrationWarning>
      <head>
        {/* eslint-disable-next-line @next/next/no-sync-scripts -- the theme must hold before the first paint */}
        <script src="/boot.js" />
      </head>
      <body>{children}</body>
    </html>
  );
}
