import { AdaptiveBits, UNARY } from "./adaptive_bits";
import type { BitCoder } from "./range_coder";

/** Classes of level counts. */
const CLASSES = 8;
const countClass = (count: number) =>
  count <= 3 ? count : ([3, 4, 4, 5, 5, 5, 6, 6, 6, 6, 6][count - 4] ?? CLASSES - 1);

/** Modes and level counts of a grid of patches, row by row. */
export interface PatchMap {
  modes: Uint8Array;
  counts: Uint8Array;
}

/**
 * Codes modes and level counts, each in the context of the patches to the left and above.
 *
 * `map` is what is coded, or is filled with what is read.
 */
export function codeMap(coder: BitCoder, rows: number, columns: number, levels: number, map: PatchMap): void {
  const { modes, counts } = map;
  const mode = new AdaptiveBits(5);
  const differs = new AdaptiveBits(2 * CLASSES * 3);
  const sign = new AdaptiveBits(CLASSES);
  const size = new AdaptiveBits(2 * CLASSES * UNARY);
  for (let at = 0; at < rows * columns; at++) {
    const left = at % columns ? counts[at - 1] : -1;
    const above = at >= columns ? counts[at - columns] : -1;
    const near = (left >= 0 && modes[at - 1] > 0 ? 1 : 0) + (above >= 0 && modes[at - columns] > 0 ? 1 : 0);
    modes[at] = codeMode(coder, mode, near, modes[at]);
    const { expected, apart } = prediction(left, above, levels);
    const level = countClass(expected);
    const wanted = counts[at];
    const context = (modes[at] ? CLASSES : 0) + level;
    if (!differs.bit(coder, 3 * context + apart, wanted === expected ? 0 : 1)) {
      counts[at] = expected;
      continue;
    }
    let up = expected === 0 ? 1 : 0;
    if (expected > 0 && expected < levels) up = sign.bit(coder, level, wanted > expected ? 1 : 0);
    const most = (up ? levels - expected : expected) - 1;
    const first = ((up ? CLASSES : 0) + level) * UNARY;
    const distance = 1 + size.unary(coder, first, most, Math.abs(wanted - expected) - 1);
    counts[at] = up ? expected + distance : expected - distance;
  }
}

/** What neighbours let expect, and how much they differ: -1 is a neighbour that is not there. */
function prediction(left: number, above: number, levels: number): { expected: number; apart: number } {
  if (left < 0 && above < 0) return { expected: Math.min(4, levels), apart: 2 };
  if (left < 0 || above < 0) return { expected: Math.max(left, above), apart: 1 };
  return { expected: (left + above + 1) >> 1, apart: Math.min(2, Math.abs(left - above) >> 1) };
}

function codeMode(coder: BitCoder, bits: AdaptiveBits, near: number, mode: number): number {
  if (!bits.bit(coder, near, mode > 0 ? 1 : 0)) return 0;
  if (!bits.bit(coder, 3, mode > 1 ? 1 : 0)) return 1;
  return 2 + bits.bit(coder, 4, mode > 2 ? 1 : 0);
}
