import { defineConfig, globalIgnores } from "eslint/config";
import nextVitals from "eslint-config-next/core-web-vitals";
import nextTypescript from "eslint-config-next/typescript";

export default defineConfig([
  ...nextVitals,
  ...nextTypescript,
  globalIgnores(["out/**", ".next/**", "next-env.d.ts", "src/api/schema.d.ts"]),
  {
    rules: {
      "max-lines": ["error", { max: 400, skipBlankLines: true }],
      "max-lines-per-function": ["error", { max: 130, skipBlankLines: true }],
      "@typescript-eslint/no-explicit-any": "error",
      "no-console": "error",
    },
  },
]);
