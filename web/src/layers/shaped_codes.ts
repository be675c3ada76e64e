import { clip } from "./steps";

const STEP = 32;
const SLOPE = 200; // Hz over which the weights of a step fall
const MAX_LOG_VARIANCE = 40;

/** One step of the schedule of a layer: which band its levels code above all. */
export interface BandStep {
  until: number;
  edge: number;
  drop: number;
}

/** The low 64 bits of a product, of numbers in two halves. */
function times(ah: number, al: number, bh: number, bl: number): [number, number] {
  const [a0, a1, b0, b1] = [al & 0xffff, al >>> 16, bl & 0xffff, bl >>> 16];
  const first = a0 * b0;
  const middle = a1 * b0 + Math.floor(first / 65536);
  const other = a0 * b1 + (middle % 65536);
  const low = ((other % 65536) * 65536 + (first % 65536)) >>> 0;
  const high = a1 * b1 + Math.floor(middle / 65536) + Math.floor(other / 65536);
  return [(high + Math.imul(ah, bl) + Math.imul(al, bh)) >>> 0, low];
}

/** x xor (x >> shift), of a number in two halves. */
function mixed(high: number, low: number, shift: number): [number, number] {
  return [(high ^ (high >>> shift)) >>> 0, (low ^ ((low >>> shift) | (high << (32 - shift)))) >>> 0];
}

/** The sum of the four 16-bit parts of the counter's hash (the finaliser of SplitMix64). */
function hash(counter: number, seed: number): number {
  const value = counter + 1;
  let [high, low] = times((seed << 8) >>> 0, value >>> 0, 0x9e3779b9, 0x7f4a7c15);
  [high, low] = mixed(high, low, 30);
  [high, low] = times(high, low, 0xbf58476d, 0x1ce4e5b9);
  [high, low] = mixed(high, low, 27);
  [high, low] = times(high, low, 0x94d049bb, 0x133111eb);
  [high, low] = mixed(high, low, 31);
  return (high >>> 16) + (high & 0xffff) + (low >>> 16) + (low & 0xffff);
}

/** Codebooks of random codes, which are the same on every machine; each code is made when it is needed. */
export class RandomCodes {
  private readonly made = new Map<number, Float32Array>();

  constructor(
    private readonly size: number,
    readonly dim: number,
    private readonly seed: number,
  ) {}

  /** The numbers of a code; code 0 is all zeros. */
  get(book: number, code: number): Float32Array {
    const row = book * this.size + code;
    const known = this.made.get(row);
    if (known) return known;
    const step = 65536 / STEP;
    const out = new Float32Array(this.dim);
    for (let d = 0; code && d < this.dim; d++) {
      let total = 0;
      for (let part = 0; part < 3; part++) total += hash((row * this.dim + d) * 3 + part, this.seed);
      out[d] = clip(Math.floor((total - 6 * 65535 + step / 2) / step), -127, 127) / STEP;
    }
    this.made.set(row, out);
    return out;
  }
}

/** Random codes that every vector shapes for itself. */
export class ShapedCodes {
  private readonly codes: RandomCodes;
  private readonly turn: number;

  constructor(
    private readonly dim: number,
    levels: number,
    codebookSize: number,
    private readonly books: number,
    seed: number,
  ) {
    this.codes = new RandomCodes(codebookSize, dim, seed);
    this.turn = Math.floor(dim / Math.ceil(levels / books));
  }

  /** Codes of one frame and the variances left after 0, 1, ... levels -> a vector. */
  decode(codes: ArrayLike<number>, left: Float64Array[]): Float32Array {
    const { dim, books } = this;
    const out = new Float32Array(dim);
    for (let k = 0; k < codes.length; k++) {
      const code = this.codes.get(k % books, codes[k]!);
      const turn = Math.floor(k / books) * this.turn;
      const [before, after] = [left[k]!, left[k + 1]!];
      for (let d = 0; d < dim; d++) {
        const shape = Math.sqrt(Math.max(before[d]! - after[d]!, 0));
        out[d]! += shape * code[(((d - turn) % dim) + dim) % dim]!;
      }
    }
    return out;
  }
}

/** Variances that are left of one vector after 0, 1, ... levels, by reverse water-filling. */
export function varianceLeft(
  logVariance: ArrayLike<number>,
  levels: number,
  schedule: BandStep[],
  frequency: ArrayLike<number>,
  tilt: ArrayLike<number>,
  bits: number,
): Float64Array[] {
  let rest = Float64Array.from(logVariance, (x) =>
    Number.isNaN(x) ? -MAX_LOG_VARIANCE : clip(x, -MAX_LOG_VARIANCE, MAX_LOG_VARIANCE),
  );
  const left = [rest.map(Math.exp)];
  let begin = 0;
  for (const step of schedule) {
    const count = Math.min(step.until, levels) - begin;
    if (count <= 0) break;
    const drop = (-step.drop * Math.log(10)) / 10;
    const weight = rest.map((_, d) => drop * clip((frequency[d]! - step.edge) / SLOPE, 0, 1) + tilt[d]!);
    const weighted = rest.map((x, d) => x + weight[d]!);
    for (const water of waterLevels(weighted, count, bits)) {
      rest = weighted.map((x, d) => Math.min(x, water) - weight[d]!);
      left.push(rest.map(Math.exp));
    }
    begin += count;
  }
  return left;
}

/** To which logarithm of variance 1, 2, ... levels bring what lies above it. */
function waterLevels(logVariance: Float64Array, levels: number, bits: number): number[] {
  const descending = Float64Array.from(logVariance).sort().reverse();
  const dim = descending.length;
  const total = new Float64Array(dim);
  const cost = new Float64Array(dim);
  let sum = 0;
  for (let d = 0; d < dim; d++) {
    sum += descending[d]!;
    total[d] = sum;
    const own = sum - (d + 1) * descending[d]!;
    cost[d] = d ? Math.max(cost[d - 1]!, own) : own;
  }
  return Array.from({ length: levels }, (_, k) => {
    const rate = 2 * Math.log(2) * bits * (k + 1);
    let coded = 0;
    while (coded < dim && cost[coded]! < rate) coded++;
    coded = clip(coded, 1, dim);
    return (total[coded - 1]! - rate) / coded;
  });
}
