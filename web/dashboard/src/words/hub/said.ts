// What the hub said, for the page's language.

import { useChoices } from "@/live/choices";

import { inChinese } from "./sentences";

/** Gives the hub's own sentences in the language that was chosen. */
export function useSaid(): (sentence: string) => string {
  return useChoices((choices) => choices.language) === "zh-CN" ? inChinese : asIs;
}

function asIs(sentence: string): string {
  return sentence;
}
