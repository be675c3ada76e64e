import { check } from "../josie/errors";
import type { BitCoder } from "../josie/range_coder";
import { COEFFICIENTS, COLORS, SIDE, ZIGZAG } from "./transform";

const BLOCK = SIDE * SIDE;
/** Decisions of a coefficient, and bits of what is more. */
const DECISIONS = 15;
const REST_BITS = 12;
/** Rows of contexts of decisions, classes of sums, and bands of scales that have weights of their own. */
const [ROWS, CLASSES, BANDS] = [3, 8, 8];
const GUESSES = 7;
const BIAS = 64;
const MOST = 2047;
const [FIRST_COUNT, LAST_COUNT] = [30, 127];
/** Sums of sizes from which on a class is the next. */
const BOUNDS = [1, 2, 3, 5, 8, 13, 21];
const MOST_BOUND = 21;
const classes = Uint8Array.from({ length: MOST_BOUND + 1 }, (_, sum) => BOUNDS.filter((least) => least <= sum).length);
const classOf = (sum: number) => classes[Math.min(sum, MOST_BOUND)];

/** Probabilities, out of 2^15, of logits from -2047 on. */
const ODDS = Int32Array.from({ length: 2 * MOST + 1 }, (_, i) =>
  Math.floor(32768 / (1 + Math.exp(-(i - MOST) / 256)) + 0.5),
);
/** Logits of probabilities (i + 1/2) / 4096. */
const LOGITS = Int32Array.from({ length: 4096 }, (_, i) => {
  const p = (i + 0.5) / 4096;
  return Math.max(-MOST, Math.min(MOST, Math.floor(256 * Math.log(p / (1 - p)) + 0.5)));
});
const RATES = Int32Array.from({ length: LAST_COUNT + 1 }, (_, n) => Math.floor(32768 / (n + 1.5)));

/** Of each coefficient those near it in its block, and how much each counts; -1 for none. */
const NEAR = Array.from({ length: COEFFICIENTS }, (_, c) => {
  const [color, place] = [Math.floor(c / BLOCK), ZIGZAG[c % BLOCK]];
  const [row, column] = [place >> 3, place & 7];
  const lower = (down: number, across: number) =>
    row >= down && column >= across ? color * BLOCK + ZIGZAG.indexOf((row - down) * SIDE + column - across) : -1;
  return [lower(1, 0), lower(0, 1), lower(1, 1), color ? c % BLOCK : -1, color === COLORS - 1 ? c - BLOCK : -1];
});
const TIMES = [2, 2, 1, 2, 3];

/** The state of the quantizers behind a coefficient. */
export function following(state: number, size: number): number {
  const [a, b, c] = [(state >> 2) & 1, (state >> 1) & 1, state & 1];
  return 4 * (a ^ b) + 2 * (c ^ (size & 1)) + a;
}

/** What bits are coded with: tensors of the model. */
export interface BitTables {
  decisions: Float64Array;
  chances: Float64Array;
  mixing: Float64Array;
}

/** Coefficients, and what they stand for in half steps. */
export interface Dependent {
  symbols: Int16Array;
  levels: Int16Array;
}

/** Codes the coefficients of a part of a picture bit by bit, with probabilities mixed from what came before. */
export class CoefficientBits {
  private readonly scales: number;
  private readonly decisions: Int32Array;
  private readonly chances: Int32Array;
  private readonly counts: Uint8Array;
  private readonly weights: Int32Array;
  /** Sizes so far. */
  private readonly seen: Uint16Array;
  private readonly index = new Int32Array(5);
  private readonly guesses = new Int32Array(GUESSES);

  /** Of a grid of blocks. */
  constructor(
    tables: BitTables,
    rows: number,
    private readonly columns: number,
  ) {
    this.decisions = Int32Array.from(tables.decisions);
    this.chances = Int32Array.from(tables.chances);
    this.weights = Int32Array.from(tables.mixing);
    this.scales = this.decisions.length / (2 * DECISIONS);
    const contexts = ROWS * CLASSES * (6 * this.scales + COEFFICIENTS + CLASSES * CLASSES);
    check(this.chances.length === contexts, "probabilities of a detail layer of another size");
    check(
      this.decisions.every((x) => Math.abs(x) <= MOST) &&
        this.chances.every((x) => x >= 0 && x < 65536) &&
        this.weights.every((x) => Math.abs(x) <= 2 ** 20),
      "probabilities of a detail layer out of range",
    );
    this.counts = new Uint8Array(this.chances.length).fill(FIRST_COUNT);
    this.seen = new Uint16Array(rows * columns * COEFFICIENTS);
  }

  /** Codes a pass, given the scale of each of its coefficients; an encoder gives these, too. */
  pass(coder: BitCoder, number: number, members: number[], scales: Int16Array, given?: Int16Array): Dependent {
    const count = members.length;
    const symbols = given ?? new Int16Array(scales.length);
    const levels = new Int16Array(scales.length);
    let state = 0;
    for (let at = 0; at < scales.length; at++) {
      const scale = scales[at];
      if (scale < 0) continue;
      const block = Math.floor(at / count);
      const c = members[at - block * count];
      const [a, b, far] = this.around(block, c);
      const [quantizer, wanted] = [state >> 2, Math.abs(symbols[at])];
      let size = 0;
      while (size < DECISIONS && this.decision(coder, number, quantizer, scale, c, size, a, b, far, wanted > size))
        size++;
      if (size === DECISIONS) size += coder.raw(REST_BITS, wanted - DECISIONS);
      const negative = size > 0 && coder.raw(1, symbols[at] < 0 ? 1 : 0) === 1;
      const level = Math.max(0, 2 * size - quantizer);
      symbols[at] = negative ? -size : size;
      levels[at] = negative ? -level : level;
      this.seen[block * COEFFICIENTS + c] = size;
      state = following(state, size);
    }
    return { symbols, levels };
  }

  /** Classes of sums of sizes around, inside and farther away. */
  private around(block: number, c: number): [number, number, number] {
    const { seen, columns } = this;
    const [i, j] = [Math.floor(block / columns), block % columns];
    const at = block * COEFFICIENTS;
    const [left, up] = [at - COEFFICIENTS, at - columns * COEFFICIENTS];
    let [beside, inside, far] = [0, 0, 0];
    const [down, across] = NEAR[c];
    if (j) {
      beside += 2 * seen[left + c];
      if (down >= 0) far += seen[left + down];
      if (across >= 0) far += seen[left + across];
    }
    if (i) {
      beside += 2 * seen[up + c];
      if (j) beside += seen[up - COEFFICIENTS + c];
      if (j + 1 < columns) beside += seen[up + COEFFICIENTS + c];
      if (down >= 0) far += seen[up + down];
      if (across >= 0) far += seen[up + across];
    }
    if (j > 1) far += 2 * seen[left - COEFFICIENTS + c];
    if (i > 1) far += 2 * seen[up - columns * COEFFICIENTS + c];
    for (let n = 0; n < TIMES.length; n++) if (NEAR[c][n] >= 0) inside += TIMES[n] * seen[at + NEAR[c][n]];
    return [classOf(beside), classOf(inside), classOf(far)];
  }

  /** Codes whether a size is more than d. */
  private decision(
    coder: BitCoder,
    number: number,
    quantizer: number,
    scale: number,
    c: number,
    d: number,
    a: number,
    b: number,
    far: number,
    wanted: boolean,
  ): boolean {
    const { index, guesses, chances, counts, weights, scales } = this;
    const row = Math.min(d, ROWS - 1);
    const share = 2 * ROWS * scales * CLASSES;
    const place = ((row * 2 + quantizer) * scales + scale) * CLASSES;
    index[0] = place + a;
    index[1] = share + place + b;
    index[2] = 2 * share + place + far;
    index[3] = 3 * share + (row * COEFFICIENTS + c) * CLASSES + ((a + b) >> 1);
    index[4] = 3 * share + CLASSES * (ROWS * COEFFICIENTS + 64 * row + 8 * a + b) + far;
    for (let n = 0; n < 5; n++) guesses[n] = LOGITS[chances[index[n]] >> 4];
    guesses[5] = this.decisions[(quantizer * scales + scale) * DECISIONS + d];
    guesses[6] = BIAS;
    const first = ((number * ROWS + row) * BANDS + Math.floor((scale * BANDS) / scales)) * GUESSES;
    let total = 0;
    for (let n = 0; n < GUESSES; n++) total += weights[first + n] * guesses[n];
    const p = ODDS[Math.max(-MOST, Math.min(MOST, Math.floor(total / 65536))) + MOST];
    const found = coder.holds(p, wanted);
    const error = (found ? 32768 : 0) - p;
    for (let n = 0; n < GUESSES; n++) weights[first + n] += (guesses[n] * error + 32768) >> 16;
    for (let n = 0; n < 5; n++) {
      const at = index[n];
      chances[at] += (((found ? 65535 : 0) - chances[at]) * RATES[counts[at]]) >> 15;
      if (counts[at] < LAST_COUNT) counts[at]++;
    }
    return found;
  }
}
