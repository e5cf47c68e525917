// Of a long list the part that is asked for: the rows in sight and some on either side. Pure.

/** Rows that move in or out at once. */
const BLOCK = 100;
/** Rows asked for; a screen has some forty. */
export const WINDOW = 300;

/** Where the window begins for these rows in sight: the block in the middle holds the first of them. */
export function windowOf(first: number): number {
  return Math.max(0, Math.floor(first / BLOCK) * BLOCK - BLOCK);
}

/** A part of a list. */
export interface Part<Item> {
  offset: number;
  /** Of the whole list. */
  total: number;
  items: readonly Item[];
}

/** A row of the whole list, where it is known. */
export function rowOf<Item>(part: Part<Item>, index: number): Item | undefined {
  return part.items[index - part.offset];
}

/** The exchanges to choose from; the one that is chosen is among them although it has no contract, so that it can be let go. */
export function choices<Of extends { exchange: string; desired: number }>(exchanges: readonly Of[], chosen: string): { exchange: string; desired: number }[] {
  return chosen === "" || exchanges.some((of) => of.exchange === chosen) ? [...exchanges] : [...exchanges, { exchange: chosen, desired: 0 }];
}

/** What may be shown of an answer: of another question only while the new one waits, and not when that has failed. */
export function shownOf<Answer extends { of: string }>(newest: Answer | null, wanted: string, hasFailed: boolean): Answer | null {
  return newest !== null && newest.of !== wanted && hasFailed ? null : newest;
}
