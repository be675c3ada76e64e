import type { BitCoder } from "./range_coder";

const BITS = 11;
const SPEED = 4;
/** Probabilities of a number in unary. */
export const UNARY = 15;

/** Probabilities of 11 bits that a bit is 0, which adapt as those of LZMA do. */
export class AdaptiveBits {
  private readonly probabilities: Uint16Array;

  constructor(count: number) {
    this.probabilities = new Uint16Array(count).fill(1 << (BITS - 1));
  }

  /** Codes a bit in a context. */
  bit(coder: BitCoder, at: number, bit = 0): number {
    const p = this.probabilities[at];
    const zero = coder.lower((coder.range >>> BITS) * p, !bit);
    this.probabilities[at] = zero ? p + (((1 << BITS) - p) >> SPEED) : p - (p >> SPEED);
    return zero ? 0 : 1;
  }

  /** Codes a number up to `most` in truncated unary, the first 14 bits in contexts of their own from `first` on. */
  unary(coder: BitCoder, first: number, most: number, value = 0): number {
    let count = 0;
    while (count < most && this.bit(coder, first + Math.min(count, UNARY - 1), value > count ? 1 : 0)) count++;
    return count;
  }
}
