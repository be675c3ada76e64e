import { check, JosieError } from "./errors";
import { FREQUENCY_BITS, type RangeDecoder, type RangeEncoder } from "./range_coder";
import { integers, type Tensor } from "./safetensors";

const LIMIT = 2 ** 15;
const WEIGHT = 1024;
const PASSES = 5;
const MAX_COUNT = 32;
const TOTAL = 2 ** FREQUENCY_BITS;
/** Neighbours (down, right) that each pass looks at, clockwise. Those of pass 0 are never there. */
// biome-ignore format: one line each
const DIAGONAL = [[-1, -1], [-1, 1], [1, 1], [1, -1]] as const;
// biome-ignore format: one line each
const STRAIGHT = [[-1, 0], [0, 1], [1, 0], [0, -1]] as const;
const NEIGHBOURS = [
  { far: 2, offsets: DIAGONAL },
  { far: 2, offsets: DIAGONAL },
  { far: 2, offsets: STRAIGHT },
  { far: 1, offsets: DIAGONAL },
  { far: 1, offsets: STRAIGHT },
];

/** Codes a symbol of these frequencies: takes it where it is given, and gives it where it is not. */
type Coder = (frequencies: Float64Array, given: number | undefined) => number;

/** Grid of level counts, and codes [rows, columns, levels] where they are known. */
export interface Grid {
  rows: number;
  columns: number;
  counts: ArrayLike<number>;
}

/** The integer network that says how likely the codes of the first levels are. */
export class ContextModel {
  readonly levels: number;
  private readonly codebookSize: number;
  private readonly classes: number;
  private readonly classSize: number;
  private readonly dim: number;
  private readonly width: number;
  private readonly features: number;
  private readonly n: Record<string, Float64Array> = {};
  private readonly members: Float64Array;
  /** Class and place of each code: class * classSize + place, [levels, S]. */
  private readonly symbols: Int32Array;
  private readonly embedding: Float64Array;
  private readonly typical: Float64Array;
  private readonly codeFeatures: Float64Array;

  constructor(tensors: Map<string, Tensor>) {
    const shape = (name: string) => {
      const tensor = tensors.get(`context.${name}`);
      check(tensor !== undefined, `the context model lacks ${name}`);
      return tensor.shape;
    };
    for (const name of NAMES) {
      shape(name);
      this.n[name] = integers(tensors.get(`context.${name}`)!);
    }
    shape("typical");
    [this.levels, this.classes, this.classSize] = shape("members") as [number, number, number];
    [, this.codebookSize, this.dim] = shape("table") as [number, number, number];
    this.width = shape("outer")[0]!;
    this.features = shape("to_class")[0]!;
    check(this.features === this.dim + 8 && shape("around")[1] === 4 * this.dim + 18, "a context model of other sizes");
    this.members = this.n.members!;
    this.symbols = new Int32Array(this.levels * this.codebookSize).fill(-1);
    const perLevel = this.classes * this.classSize;
    this.members.forEach((code, i) => {
      if (code >= 0) this.symbols[Math.floor(i / perLevel) * this.codebookSize + code] = i % perLevel;
    });
    check(
      this.symbols.every((symbol) => symbol >= 0),
      "a context model without all codes",
    );
    this.embedding = this.embed();
    this.typical = integers(tensors.get("context.typical")!);
    this.codeFeatures = this.similarity();
  }

  private embed(): Float64Array {
    const { table, into } = this.n as { table: Float64Array; into: Float64Array };
    const perLevel = this.codebookSize * this.dim;
    return table.map((x, i) => Math.floor((x * into[Math.floor(i / perLevel) * this.dim + (i % this.dim)]!) / WEIGHT));
  }

  /** What codes are compared by: the numbers of the table, and mean squares of eight groups of them. */
  private similarity(): Float64Array {
    const [dim, table] = [this.dim, this.n.table!];
    const rows = this.levels * this.codebookSize;
    const out = new Float64Array(rows * this.features);
    const size = Math.floor(dim / 8);
    for (let row = 0; row < rows; row++) {
      for (let i = 0; i < dim; i++) out[row * this.features + i] = table[row * dim + i]!;
      let at = 0;
      for (let group = 0; group < 8; group++) {
        const end = at + size + (group < dim % 8 ? 1 : 0);
        let [sum, terms] = [0, end - at];
        for (; at < end; at++) sum += table[row * dim + at]! ** 2;
        out[row * this.features + dim + group] = Math.floor(sum / (16 * terms));
      }
    }
    return out;
  }

  /** Bits that each code of a level takes, on average. */
  typicalBits(level: number): Float64Array {
    return this.typical.slice(level * this.codebookSize, (level + 1) * this.codebookSize).map((bits) => bits / 256);
  }

  /** Codes [rows, columns, levels] of a grid; zeros where there are none. */
  decode(decoder: RangeDecoder, grid: Grid): Uint16Array {
    return this.run(grid, undefined, 0, (frequencies) => {
      const value = decoder.peek(FREQUENCY_BITS);
      let [symbol, start] = [0, 0];
      while (start + frequencies[symbol]! <= value) start += frequencies[symbol++]!;
      decoder.consume(start, frequencies[symbol]!, FREQUENCY_BITS);
      return symbol;
    });
  }

  /** Codes the codes of a grid, [rows, columns, levels]. */
  encode(encoder: RangeEncoder, grid: Grid, codes: ArrayLike<number>, levels: number): void {
    this.run(grid, codes, levels, (frequencies, symbol) => {
      let start = 0;
      for (let i = 0; i < symbol!; i++) start += frequencies[i]!;
      encoder.encode(start, frequencies[symbol!]!, FREQUENCY_BITS);
      return symbol!;
    });
  }

  private run(grid: Grid, given: ArrayLike<number> | undefined, givenLevels: number, code: Coder): Uint16Array {
    const { rows, columns } = grid;
    const size = rows * columns;
    const counts = Float64Array.from({ length: size }, (_, i) => Math.min(grid.counts[i]!, MAX_COUNT));
    const remaining = counts.map((count) => Math.min(count, this.levels));
    const order = passes(rows, columns);
    const sums = new Float64Array(size * this.dim);
    const out = new Uint16Array(size * this.levels);
    for (let pass = 0; pass < PASSES; pass++) {
      const positions: number[] = [];
      for (let i = 0; i < size; i++) if (order[i] === pass && remaining[i]! > 0) positions.push(i);
      const contexts = positions.map((at) => this.context(pass, at, grid, sums, counts, order, remaining));
      for (let k = 0; k < this.levels; k++) {
        const here = positions.map((_, i) => i).filter((i) => remaining[positions[i]!]! > k);
        if (!here.length) break;
        // First the classes of all positions, then which code of its class each is.
        const known = here.map(
          (i) => given && this.symbols[k * this.codebookSize + given[positions[i]! * givenLevels + k]!]!,
        );
        const hidden = here.map((i) => this.hidden(contexts[i]!, k, positions[i]!, counts, sums));
        const classes = hidden.map((h, i) =>
          code(
            this.classFrequencies(h, k),
            known[i] === undefined ? undefined : Math.floor(known[i]! / this.classSize),
          ),
        );
        hidden.forEach((h, i) => {
          const own = classes[i]!;
          const symbol = known[i] === undefined ? undefined : known[i]! % this.classSize;
          const place = code(this.codeFrequencies(h, k, own), symbol);
          const found = this.members[(k * this.classes + own) * this.classSize + place]!;
          if (found < 0) throw new JosieError("a code that does not exist");
          const at = positions[here[i]!]!;
          out[at * this.levels + k] = found;
          const row = (k * this.codebookSize + found) * this.dim;
          for (let d = 0; d < this.dim; d++) sums[at * this.dim + d]! += this.embedding[row + d]!;
        });
      }
    }
    return out;
  }

  /** What is known around a position. */
  private context(
    pass: number,
    at: number,
    grid: Grid,
    sums: Float64Array,
    counts: Float64Array,
    order: Uint8Array,
    remaining: Float64Array,
  ): Float64Array {
    const { rows, columns } = grid;
    const [i, j] = [Math.floor(at / columns), at % columns];
    const x = new Float64Array(4 * this.dim + 18);
    const place = (down: number, right: number) => {
      const [y, z] = [i + down, j + right];
      return y >= 0 && y < rows && z >= 0 && z < columns ? y * columns + z : -1;
    };
    const { far, offsets } = NEIGHBOURS[pass]!;
    offsets.forEach(([down, right], n) => {
      const other = place(far * down, far * right);
      if (other < 0 || order[other]! >= pass || !remaining[other]) return;
      for (let d = 0; d < this.dim; d++) x[n * this.dim + d] = clip(sums[other * this.dim + d]!);
      x[4 * this.dim + n] = 256;
    });
    for (let n = 0; n < 9; n++) {
      const other = place(Math.floor(n / 3) - 1, (n % 3) - 1);
      if (other >= 0) x[4 * this.dim + 4 + n] = 32 * counts[other]!;
    }
    x[4 * this.dim + 13 + pass] = 256;
    return this.layer("outer", positive(this.layer("around", x)));
  }

  private hidden(
    context: Float64Array,
    level: number,
    at: number,
    counts: Float64Array,
    sums: Float64Array,
  ): Float64Array {
    const width = this.width;
    const { level: levels, count, before } = this.n as Record<"level" | "count" | "before", Float64Array>;
    const x = context.map((h, i) => h + levels[level * width + i]! + count[counts[at]! * width + i]!);
    if (level) {
      for (let i = 0; i < width; i++) {
        let sum = 0;
        for (let d = 0; d < this.dim; d++) sum += before[i * this.dim + d]! * clip(sums[at * this.dim + d]!);
        x[i]! += Math.floor(sum / WEIGHT);
      }
    }
    return positive(this.layer("middle", positive(x)));
  }

  /** L(name, x). */
  private layer(name: string, x: Float64Array): Float64Array {
    const [weight, bias] = [this.n[name]!, this.n[`${name}_bias`]!];
    const out = new Float64Array(bias.length);
    for (let i = 0, w = 0; i < out.length; i++) {
      let sum = bias[i]!;
      for (let j = 0; j < x.length; j++, w++) sum += weight[w]! * x[j]!;
      out[i] = Math.floor(sum / WEIGHT);
    }
    return out;
  }

  private query(what: "class" | "code", hidden: Float64Array, level: number): Float64Array {
    const scale = this.n[`${what}_scale`]!;
    return this.layer(`to_${what}`, hidden).map((x, i) =>
      clip(Math.floor((clip(x) * scale[level * this.features + i]!) / WEIGHT)),
    );
  }

  private classFrequencies(hidden: Float64Array, level: number): Float64Array {
    const w = this.query("class", hidden, level);
    const [weight, bias] = [this.n.classes!, this.n.class_bias!];
    const logits = new Float64Array(this.classes);
    for (let c = 0; c < this.classes; c++) {
      const row = level * this.classes + c;
      let sum = bias[row]!;
      for (let i = 0; i < w.length; i++) sum += weight[row * w.length + i]! * w[i]!;
      logits[c] = Math.floor(sum / 256);
    }
    return softmax(logits);
  }

  private codeFrequencies(hidden: Float64Array, level: number, own: number): Float64Array {
    const w = this.query("code", hidden, level);
    const bias = this.n.code_bias!;
    const logits = new Float64Array(this.classSize);
    const first = (level * this.classes + own) * this.classSize;
    for (let m = 0; m < this.classSize; m++) {
      const code = this.members[first + m]!;
      if (code < 0) {
        logits[m] = Number.NEGATIVE_INFINITY;
        continue;
      }
      const row = (level * this.codebookSize + code) * this.features;
      let sum = bias[first + m]!;
      for (let i = 0; i < w.length; i++) sum += this.codeFeatures[row + i]! * w[i]!;
      logits[m] = Math.floor(sum / 16);
    }
    return softmax(logits);
  }
}

const NAMES = [
  ...["members", "table", "into", "around", "around_bias", "outer", "outer_bias", "before", "level", "count"],
  ...["middle", "middle_bias", "to_class", "to_class_bias", "class_scale", "classes", "class_bias"],
  ...["to_code", "to_code_bias", "code_scale", "code_bias"],
];

/** In which pass each position of a grid is coded. */
function passes(rows: number, columns: number): Uint8Array {
  return Uint8Array.from({ length: rows * columns }, (_, at) => {
    const [i, j] = [Math.floor(at / columns), at % columns];
    if ((i + j) % 2) return 4;
    if (i % 2) return 3;
    if ((i / 2 + j / 2) % 2) return 2;
    return (i / 2) % 2;
  });
}

/** floor(2^24 exp(-n / 256)), by whole numbers alone. */
const EXPONENTIALS = (() => {
  const out = new Float64Array(4096);
  let value = 1n << 56n;
  for (let n = 0; n < out.length; n++) {
    out[n] = Number(value >> 32n);
    value = (value * 4278222759n) >> 32n;
  }
  return out;
})();

/** Frequencies, 2^15 together, of logits in units of 1/256; those of what does not exist are of minus infinity. */
function softmax(logits: Float64Array): Float64Array {
  const n = logits.length;
  let most = Number.NEGATIVE_INFINITY;
  for (const logit of logits) most = Math.max(most, logit);
  const weights = logits.map((logit) => EXPONENTIALS[Math.min(most - logit, 4095)]!);
  let [sum, best] = [0, 0];
  for (let i = 0; i < n; i++) {
    sum += weights[i]!;
    if (weights[i]! > weights[best]!) best = i;
  }
  const out = weights.map((w) => 1 + Math.floor((w * (TOTAL - n)) / sum));
  let all = 0;
  for (const frequency of out) all += frequency;
  out[best]! += TOTAL - all;
  return out;
}

function clip(x: number): number {
  return Math.max(-LIMIT, Math.min(LIMIT, x));
}

/** clip(max(0, x)). */
function positive(x: Float64Array): Float64Array {
  return x.map((value) => Math.max(0, Math.min(LIMIT, value)));
}
