import { type ClassValue, clsx } from "clsx";
import { extendTailwindMerge } from "tailwind-merge";

const merge = extendTailwindMerge({
  extend: { classGroups: { "font-size": [{ text: ["11", "12", "13", "14", "16", "20", "24"] }] } },
});

/** Class names, where the later of two that contradict each other holds. */
export function cn(...inputs: ClassValue[]): string {
  return merge(clsx(inputs));
}
