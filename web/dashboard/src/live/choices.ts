// What whoever looks has chosen: kept in the browser.

import { create } from "zustand";
import { persist } from "zustand/middleware";

export type Theme = "dark" | "light";
export type Language = "en" | "zh-CN";

interface Choices {
  theme: Theme;
  language: Language;
  setTheme: (theme: Theme) => void;
  setLanguage: (language: Language) => void;
}

/** What `boot.js` has set before the first paint. */
function booted(): Pick<Choices, "theme" | "language"> {
  if (typeof document === "undefined") return { theme: "dark", language: "en" };
  const { dataset, lang } = document.documentElement;
  return { theme: dataset.theme === "light" ? "light" : "dark", language: lang === "zh-CN" ? "zh-CN" : "en" };
}

export const useChoices = create<Choices>()(
  persist(
    (set) => ({
      ...booted(),
      setTheme: (theme) => {
        document.documentElement.dataset.theme = theme;
        set({ theme });
      },
      setLanguage: (language) => {
        document.documentElement.lang = language;
        set({ language });
      },
    }),
    { name: "mdhub-choices", partialize: ({ theme, language }) => ({ theme, language }) },
  ),
);
