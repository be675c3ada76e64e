import { AdaptiveBits } from "../josie/adaptive_bits";
import type { BitCoder } from "../josie/range_coder";

/** Level counts from which on a patch is of the next class. */
const LEVELS = [2, 4, 7];
const CLASSES = LEVELS.length + 1;
const NEIGHBOURS = 3;
/** The bits: whether blocks are longer, whether both ways, and else whether across. */
const [LONG, SQUARE, ACROSS] = [0, 1, 2];

/** Codes the shapes of the blocks of patches; those left out have shape 0. `shapes` is given, or filled. */
export function codeShapes(
  coder: BitCoder,
  shapes: Uint8Array,
  counts: Uint8Array,
  columns: number,
  leftOut: Uint8Array | undefined,
): void {
  const bits = new AdaptiveBits(3 * NEIGHBOURS * CLASSES);
  for (let at = 0; at < shapes.length; at++) {
    if (leftOut?.[at]) {
      shapes[at] = 0;
      continue;
    }
    const near = [at % columns ? shapes[at - 1] : 0, at >= columns ? shapes[at - columns] : 0];
    const level = LEVELS.filter((least) => counts[at] >= least).length;
    const bit = (which: number, like: (shape: number) => boolean) =>
      bits.bit(coder, (which * NEIGHBOURS + near.filter(like).length) * CLASSES + level, like(shapes[at]) ? 1 : 0);
    if (!bit(LONG, (shape) => shape > 0)) shapes[at] = 0;
    else if (bit(SQUARE, (shape) => shape === 1)) shapes[at] = 1;
    else shapes[at] = 2 + bit(ACROSS, (shape) => shape === 3);
  }
}
