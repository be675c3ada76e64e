import { CountedBits } from "./counted_bits";
import { check } from "./errors";
import type { BitCoder } from "./range_coder";

/** Pixels beside a row, on each side. */
const EDGE = 4;
const ADDRESS_BITS = 16;
/** Contexts for each length of runs, in bits. */
const LENGTHS = 19;
const NOTHING = -1;
const MOST_TRUST = 3;

/** What a guess looks at above, as (row counted upwards, column to the right), and how many pixels to the left. */
// biome-ignore format: one line each
const LOOKS = [
  { left: 4, above: [[1, -3], [1, -2], [1, -1], [1, 0], [1, 1], [1, 2], [1, 3], [2, -2], [2, -1], [2, 0], [2, 1], [2, 2], [3, -1], [3, 0], [3, 1], [3, 2]] },
  { left: 2, above: [[1, -1], [1, 0], [1, 1], [1, 2], [2, 0], [2, 1]] },
  { left: 1, above: [[1, -1], [1, 0], [1, 1]] },
];
/** 2654435761^n modulo 2^32, n from 1 on. */
const FACTORS = (() => {
  let power = 1;
  return Array.from({ length: 31 }, () => {
    power = Math.imul(power, 2654435761 | 0);
    return power;
  });
})();

/** A table of guesses by what lies around. */
class Guesses {
  readonly index = new Int16Array(2 ** ADDRESS_BITS).fill(NOTHING);
  readonly trust = new Uint8Array(2 ** ADDRESS_BITS);

  /** Takes note of what came. */
  learn(at: number, color: number, keeps: boolean): void {
    if (this.index[at] === color) this.trust[at] = Math.min(MOST_TRUST, this.trust[at] + 1);
    else if (keeps && this.trust[at]) this.trust[at] >>= 1;
    else {
      this.index[at] = color;
      this.trust[at] = 0;
    }
  }
}

/** Codes a map of colour indexes, row after row. */
export class IndexMap {
  private readonly depth: number;
  private readonly tables = LOOKS.map(() => new Guesses());
  private readonly right = LOOKS.map(() => new CountedBits(128));
  private readonly beside = new CountedBits(16);
  private readonly whole = new CountedBits(2 * LENGTHS);
  private readonly lengths = new CountedBits(LENGTHS * LENGTHS);
  private readonly spelt: [CountedBits, CountedBits];
  /** The rows above with their edges, the nearest first. */
  private above: Uint16Array[];
  private row: Uint16Array;

  /**
   * @param colors How many there are, 1 to 255; their number itself stands for pixels that are not coded. 256 only
   *   where all pixels are.
   */
  constructor(
    private readonly colors: number,
    private readonly width: number,
  ) {
    this.depth = Math.max(1, 32 - Math.clz32(colors - 1));
    const size = (colors + 1) << this.depth;
    this.spelt = [new CountedBits(size), new CountedBits(size)];
    this.above = LOOKS.map(() => new Uint16Array(width + 2 * EDGE).fill(colors));
    this.row = new Uint16Array(width + 2 * EDGE);
  }

  /** Codes the next row: of the pixels of some spans [from, to), `wanted` being the indexes of an encoder. */
  next(coder: BitCoder, spans: [number, number][], wanted?: Uint8Array): Uint8Array {
    const { row, width } = this;
    const up = this.above[0];
    row.fill(this.colors);
    row.fill(up[EDGE], 0, EDGE);
    for (const [first, last] of spans) {
      const end = last + EDGE;
      let [at, shorter] = [first + EDGE, 0];
      while (at < end) {
        const color = row[at - 1];
        const flat = color !== this.colors && color === up[at] && color === up[at - 1] && color === up[at + 1];
        if (!flat) {
          row[at] = this.pixel(coder, at, wanted?.[at - EDGE]);
          at++;
          continue;
        }
        // As long as U and UR, which is U of the pixel after, stay the same.
        let length = 1;
        while (at + length < end && up[at + length + 1] === color) length++;
        const kept = this.run(coder, length, shorter, wanted && sameFrom(wanted, at - EDGE, length, color));
        row.fill(color, at, at + kept);
        at += kept;
        shorter = kept < length ? 1 : 0;
        if (shorter) {
          row[at] = this.spell(coder, 0, color, wanted?.[at - EDGE] ?? 0);
          at++;
        }
      }
    }
    row.fill(row[width + EDGE - 1], width + EDGE);
    const done = Uint8Array.from(row.subarray(EDGE, width + EDGE));
    this.row = this.above[2];
    this.above = [row, this.above[0], this.above[1]];
    return done;
  }

  /** How long a run is, of at most `length`. */
  private run(coder: BitCoder, length: number, before: number, wanted?: number): number {
    const size = 32 - Math.clz32(length);
    if (this.whole.bit(coder, 2 * size + before, wanted === length ? 1 : 0)) return length;
    const most = 32 - Math.clz32(length - 1);
    const kept = this.lengths.number(coder, LENGTHS * size, most, wanted);
    check(kept < length, "a run of colours beyond its end");
    return kept;
  }

  private spell(coder: BitCoder, kind: 0 | 1, given: number, color: number): number {
    let node = 1;
    for (let shift = this.depth - 1; shift >= 0; shift--) {
      node = 2 * node + this.spelt[kind].bit(coder, (given << this.depth) + node, (color >> shift) & 1);
    }
    const found = node - (1 << this.depth);
    check(found < this.colors, "a colour that is not in the palette");
    return found;
  }

  private pixel(coder: BitCoder, at: number, wanted?: number): number {
    const { row, tables } = this;
    const up = this.above[0];
    const [left, upper] = [row[at - 1], up[at]];
    const around = (left === upper ? 1 : 0) + (upper === up[at + 1] ? 2 : 0) + (left === up[at - 1] ? 4 : 0);
    const places = LOOKS.map((_, i) => this.place(i, at));
    const [one, two, three] = places.map((place, i) => tables[i].index[place]);
    const trust = (i: number) => tables[i].trust[places[i]];
    const known = one !== NOTHING ? 1 : 0;
    const color = this.guess(
      coder,
      [
        { index: one, bits: this.right[0], context: trust(0) * 32 + (one === two ? 8 : 0) + (one === three ? 16 : 0) },
        { index: two, bits: this.right[1], context: trust(1) * 32 + known * 8 + (two === three ? 16 : 0) },
        { index: three, bits: this.right[2], context: trust(2) * 32 + known * 8 },
        { index: left === this.colors ? NOTHING : left, bits: this.beside, context: 0 },
        { index: upper === this.colors ? NOTHING : upper, bits: this.beside, context: 8 },
      ],
      around,
      wanted,
    );
    const found = color ?? this.spell(coder, 1, left, wanted ?? 0);
    places.forEach((place, i) => {
      tables[i].learn(place, found, i > 0);
    });
    return found;
  }

  /** The first guess that is right, if one is; those like one before are left out. */
  private guess(
    coder: BitCoder,
    guesses: { index: number; bits: CountedBits; context: number }[],
    around: number,
    wanted: number | undefined,
  ): number | undefined {
    for (let i = 0; i < guesses.length; i++) {
      const { index, bits, context } = guesses[i];
      let tried = index === NOTHING;
      for (let j = 0; j < i; j++) tried ||= guesses[j].index === index;
      if (!tried && bits.bit(coder, context + around, index === wanted ? 1 : 0)) return index;
    }
    return undefined;
  }

  /** The address of a pixel in a table. */
  private place(table: number, at: number): number {
    const { left, above } = LOOKS[table];
    let sum = 0;
    for (let n = 0; n < left; n++) sum += Math.imul(FACTORS[n], this.row[at - 1 - n]);
    for (let n = 0; n < above.length; n++) {
      sum += Math.imul(FACTORS[EDGE + n], this.above[above[n][0] - 1][at + above[n][1]]);
    }
    return (sum >>> 0) >>> (32 - ADDRESS_BITS);
  }
}

function sameFrom(values: Uint8Array, first: number, length: number, color: number): number {
  let count = 0;
  while (count < length && values[first + count] === color) count++;
  return count;
}
