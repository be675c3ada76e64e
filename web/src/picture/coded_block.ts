import type { PatchBlock } from "../josie/patch_payload";

const BLOCK_PATCHES = 4096;
const MAX_ROWS = 1024;
export const MAX_PAYLOAD = 2 ** 19;

/** A block of a file, coded. */
export interface CodedBlock {
  first: number;
  units: number;
  coding: number;
  payload: Uint8Array;
  /** What a decoder makes of it. */
  block: PatchBlock;
}

/** Rows of patches that are put into a block. */
export function blockRows(columns: number): number {
  return Math.min(MAX_ROWS, Math.max(1, Math.floor(BLOCK_PATCHES / columns)));
}

/** Rows of patches without levels. */
export function nothing(rows: number, columns: number): PatchBlock {
  const empty = () => new Uint8Array(rows * columns);
  return { rows, columns, modes: empty(), counts: empty(), codes: new Uint16Array(0) };
}
