import type { NextConfig } from "next";

const config: NextConfig = {
  output: "export",
  poweredByHeader: false,
  reactStrictMode: true,
  devIndicators: false,
};

export default config;
