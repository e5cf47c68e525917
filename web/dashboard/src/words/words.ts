// Both languages of a subject, side by side: the second has exactly what the first has.

import { useChoices } from "@/live/choices";

export interface Both<Words> {
  en: Words;
  zh: Words;
}

/** The words of a subject: `zh` must have all that `en` has. */
export function both<Words>(en: Words, zh: NoInfer<Words>): Both<Words> {
  return { en, zh };
}

/** The words in the language that was chosen. */
export function useWords<Words>(of: Both<Words>): Words {
  const language = useChoices((choices) => choices.language);
  return language === "zh-CN" ? of.zh : of.en;
}
