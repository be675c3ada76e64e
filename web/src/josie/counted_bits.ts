import { type BitCoder, FREQUENCY_BITS } from "./range_coder";

const ONE = 2 ** 16;
const MOST_SEEN = 255;
const [LEAST, MOST] = [32, 2 ** FREQUENCY_BITS - 32];
const speeds = (slowest: number) =>
  Float64Array.from({ length: MOST_SEEN + 1 }, (_, n) => Math.floor((10 * ONE) / Math.min(10 * n + 16, slowest)));
const FAST = speeds(200);
const SLOW = speeds(2550);

/** Probabilities that a bit is 1: the mean of two that move at two speeds, faster at first. */
export class CountedBits {
  private readonly fast: Uint16Array;
  private readonly slow: Uint16Array;
  private readonly seen: Uint8Array;

  constructor(count: number) {
    this.fast = new Uint16Array(count).fill(ONE / 2);
    this.slow = new Uint16Array(count).fill(ONE / 2);
    this.seen = new Uint8Array(count);
  }

  /** Codes a bit in a context. */
  bit(coder: BitCoder, at: number, bit = 0): number {
    const [a, b, n] = [this.fast[at], this.slow[at], this.seen[at]];
    const part = Math.max(LEAST, Math.min(MOST, (a + b) >> 2));
    const one = coder.lower((coder.range >>> FREQUENCY_BITS) * part, bit === 1);
    this.fast[at] = moved(a, FAST[n], one);
    this.slow[at] = moved(b, SLOW[n], one);
    if (n < MOST_SEEN) this.seen[at] = n + 1;
    return one ? 1 : 0;
  }

  /** Codes a number of at most `most` bits: how many it has, in contexts from `first` on, then those after its first. */
  number(coder: BitCoder, first: number, most: number, value = 0): number {
    let size = 0;
    while (size < most && this.bit(coder, first + size, Math.floor(value / 2 ** size) > 0 ? 1 : 0)) size++;
    if (!size) return 0;
    const high = 2 ** (size - 1);
    return high + coder.raw(size - 1, value - high);
  }
}

function moved(p: number, speed: number, up: boolean): number {
  return up ? p + Math.floor(((ONE - p) * speed) / ONE) : p - Math.floor((p * speed) / ONE);
}
