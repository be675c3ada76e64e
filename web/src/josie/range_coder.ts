/**
 * The range coder of LZMA. All numbers are whole and below 2^53, so doubles are exact.
 */
const TOP = 2 ** 24;
const FULL = 2 ** 32;

/** Frequencies of the symbols of a model are so many together: 2^15. */
export const FREQUENCY_BITS = 15;
const TOTAL = 2 ** FREQUENCY_BITS;

/**
 * Either direction of the coder, for syntaxes that are written down once: a decoder gives what it reads, an encoder
 * what it is given.
 */
export interface BitCoder {
  readonly range: number;
  /** Codes whether something lies in the first `bound` of the range. */
  lower(bound: number, inside?: boolean): boolean;
  /** A number of up to 16 bits that are all equally likely. */
  raw(bits: number, value?: number): number;
  /** Codes whether something holds, as one of two symbols, the first of which has the frequency p. */
  holds(p: number, value?: boolean): boolean;
}

/** Bytes in, symbols out. Missing bytes are zeros. */
export class RangeDecoder implements BitCoder {
  range = FULL - 1;
  private code = 0;
  position = 4;

  constructor(readonly data: Uint8Array) {
    for (let i = 0; i < 4; i++) this.code = this.code * 256 + (data[i] ?? 0);
  }

  /** A number below 2^bits that lies in the interval of the next symbol; `consume` that symbol then. */
  peek(bits: number): number {
    return Math.min(Math.floor(this.code / Math.floor(this.range / 2 ** bits)), 2 ** bits - 1);
  }

  /** Goes on behind a symbol of this frequency, those before it having `cumulative` together. */
  consume(cumulative: number, frequency: number, bits: number): void {
    const step = Math.floor(this.range / 2 ** bits);
    this.code -= step * cumulative;
    this.range = step * frequency;
    this.fill();
  }

  lower(bound: number): boolean {
    const inside = this.code < bound;
    if (inside) this.range = bound;
    else {
      this.code -= bound;
      this.range -= bound;
    }
    this.fill();
    return inside;
  }

  raw(bits: number): number {
    if (!bits) return 0;
    const value = this.peek(bits);
    this.consume(value, 1, bits);
    return value;
  }

  holds(p: number): boolean {
    const found = this.peek(FREQUENCY_BITS) < p;
    this.consume(found ? 0 : p, found ? p : TOTAL - p, FREQUENCY_BITS);
    return found;
  }

  /** Whether all bytes have been read. */
  get ended(): boolean {
    return this.position >= this.data.length;
  }

  private fill(): void {
    while (this.range < TOP) {
      this.range *= 256;
      this.code = (this.code * 256 + (this.data[this.position++] ?? 0)) % FULL;
    }
  }

  /** The next symbol, given where the frequencies of all begin, and 2^15 at the end. */
  symbol(starts: ArrayLike<number>, first: number, count: number): number {
    const value = this.peek(FREQUENCY_BITS);
    let [low, high] = [0, count];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (starts[first + middle]! <= value) low = middle;
      else high = middle;
    }
    const start = starts[first + low]!;
    this.consume(start, starts[first + low + 1]! - start, FREQUENCY_BITS);
    return low;
  }
}

/** Symbols in, bytes out. */
export class RangeEncoder implements BitCoder {
  private low = 0;
  range = FULL - 1;
  private cache = 0;
  private pending = 1;
  private readonly out: number[] = [];

  /** Codes a symbol of this frequency, those before it having `cumulative` together. */
  encode(cumulative: number, frequency: number, bits: number): void {
    const step = Math.floor(this.range / 2 ** bits);
    this.low += step * cumulative;
    this.range = step * frequency;
    this.fill();
  }

  lower(bound: number, inside: boolean): boolean {
    if (inside) this.range = bound;
    else {
      this.low += bound;
      this.range -= bound;
    }
    this.fill();
    return inside;
  }

  raw(bits: number, value: number): number {
    if (bits) this.encode(value, 1, bits);
    return value;
  }

  holds(p: number, value: boolean): boolean {
    this.encode(value ? 0 : p, value ? p : TOTAL - p, FREQUENCY_BITS);
    return value;
  }

  private fill(): void {
    while (this.range < TOP) {
      this.range *= 256;
      this.shift();
    }
  }

  /** Ends with the number of the last range that ends in the most zeros; these, and the first byte, are not stored. */
  finish(): Uint8Array {
    for (const bits of [24, 16, 8]) {
      const rounded = Math.floor((this.low + this.range - 1) / 2 ** bits) * 2 ** bits;
      if (rounded >= this.low) {
        this.low = rounded;
        break;
      }
    }
    for (let i = 0; i < 5; i++) this.shift();
    let end = this.out.length;
    while (end > 1 && this.out[end - 1] === 0) end--;
    return Uint8Array.from(this.out.slice(1, end));
  }

  private shift(): void {
    if (this.low < 0xff000000 || this.low >= FULL) {
      const carry = this.low >= FULL ? 1 : 0;
      this.out.push((this.cache + carry) & 255);
      for (let i = 1; i < this.pending; i++) this.out.push((0xff + carry) & 255);
      this.pending = 0;
      this.cache = Math.floor(this.low / TOP) & 255;
    }
    this.pending++;
    this.low = (this.low % TOP) * 256;
  }
}
