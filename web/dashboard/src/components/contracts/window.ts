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
