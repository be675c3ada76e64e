import { check } from "../josie/errors";
import type { Product } from "../model/graph";
import type { DetailConfig } from "./model";
import { COEFFICIENTS, COLORS, FREQUENCIES, SHAPES } from "./transform";

const WEIGHT = 256;
const LIMIT = 2047;
const EXACT = 2 ** 24;
const MAX_COUNT = 33;
const [NEAR, FAR] = [4, 8];
const PER_SCALE = 32;
const PER_KNOWN = 4;
const LOGARITHMS = 2 ** 16;
const BLOCK = COEFFICIENTS / COLORS;

/** Index of a step, and how much steps grow with the frequency. */
export interface Steps {
  index: number;
  strength: number;
}

/** By how many times 0.15 the logarithm of the step of each coefficient is larger. */
export function shiftsOf(steps: Steps): number[] {
  return FREQUENCIES.map((f) => Math.floor((steps.strength * f + 5) / 10));
}

/** The index of a step as networks know it. */
export function knownStep(steps: Steps): number {
  return Math.floor(steps.index / PER_KNOWN);
}

/** Which coefficients of a block each pass has. */
export function passesOf(splits: number[][]): number[][] {
  return splits[0].map((_, pass) =>
    Array.from({ length: COLORS }, (_, color) => {
      const ends = splits[color ? 1 : 0];
      const first = pass ? ends[pass - 1] : 0;
      return Array.from({ length: ends[pass] - first }, (_, i) => color * BLOCK + first + i);
    }).flat(),
  );
}

/** Patches of a block of a file: their level counts, the sums of their codes, and how their detail is coded. */
export interface DetailPlace {
  rows: number;
  columns: number;
  counts: Uint8Array;
  /** In whole numbers, [patches, D]. */
  latents: Float64Array;
  steps: Steps;
  /** Shape of the blocks of each patch, if the layer has several. */
  shapes?: Uint8Array;
}

/** Takes the scales of a pass, [blocks, members]; gives its coefficients, in the same order. */
export type Pass = (scales: Int16Array, members: number[], number: number) => Int16Array;

/**
 * The network that says how large coefficients will be: whole numbers in single precision, whose sums are exact in any
 * order.
 */
export class DetailNetwork {
  readonly passes: number[][];
  readonly scales: number;
  private readonly weights = new Map<string, { table: Float32Array; bias: Float32Array; inputs: number }>();
  private readonly tables = new Map<string, Float64Array>();

  constructor(
    private readonly config: DetailConfig,
    private readonly numbers: (name: string) => Float64Array,
    private readonly product: Product,
  ) {
    this.passes = passesOf(config.splits);
    this.scales = config.scales;
    const names = [
      "input",
      ...this.passes.map((_, k) => `heads.${k}`),
      ...this.passes.slice(1).map((_, k) => `seen.${k}`),
    ];
    for (let k = 0; k < config.blocks.reduce((sum, n) => sum + n, 0); k++) {
      names.push(`blocks.${k}.expand`, `blocks.${k}.contract`);
      this.checkSums(`blocks.${k}.depth`, config.channels, true);
    }
    for (const name of names) this.prepare(name);
  }

  /** Goes through the passes; `from` is told of the heads of each, too, before shapes have changed them. */
  async run(place: DetailPlace, pass: Pass, heads?: (levels: Float32Array, number: number) => void): Promise<void> {
    const { rows, columns, steps, shapes } = place;
    const width = this.config.channels;
    let x = await this.layer("input", logarithmsOf(this.picture(place)));
    this.addSides(x, place);
    let block = 0;
    for (let number = 0; number < this.passes.length; number++) {
      for (let n = 0; n < this.config.blocks[number]; n++) x = await this.block(x, block++, 2 * rows, 2 * columns);
      const members = this.passes[number];
      const levels = await this.layer(`heads.${number}`, x);
      heads?.(levels, number);
      const symbols = pass(this.scalesOf(levels, number, columns, steps, shapes), members, number);
      if (number + 1 === this.passes.length) return;
      const seen = await this.layer(`seen.${number}`, seenAs(symbols, members.length));
      for (let i = 0; i < seen.length; i++) x[i] = clip(x[i] + seen[i]);
    }
    check(x.length % width === 0, "a network of another size");
  }

  /** Scales of the coefficients of a pass, from what its head gives. */
  scalesOf(levels: Float32Array, number: number, columns: number, steps: Steps, shapes?: Uint8Array): Int16Array {
    const members = this.passes[number];
    const count = members.length;
    const shifts = shiftsOf(steps);
    const offsets = shapes && this.several ? this.table("offsets") : undefined;
    const scales = new Int16Array(levels.length);
    const blocks = levels.length / count;
    for (let at = 0; at < blocks; at++) {
      const { patch, place } = quarter(at, columns);
      const shape = offsets ? shapes![patch] : 0;
      const over = offsets ? reached(at, place, columns, shape) : undefined;
      for (let m = 0; m < count; m++) {
        let level = levels[at * count + m];
        if (over) {
          let sum = 0;
          for (const other of over) sum += levels[other * count + m];
          level = Math.floor(sum / over.length) + offsets![(4 * shape + place) * COEFFICIENTS + members[m]];
        }
        const scale = Math.floor(level / PER_SCALE) - shifts[members[m]];
        scales[at * count + m] = Math.max(-1, Math.min(this.scales - 1, scale));
      }
    }
    return scales;
  }

  get several(): boolean {
    return (this.config.shapes ?? 1) > 1;
  }

  /** What does not depend on the picture: level counts, steps and shapes. */
  private addSides(x: Float32Array, place: DetailPlace): void {
    const { columns, counts, steps, shapes } = place;
    const width = this.config.channels;
    const count = this.table("count");
    const step = this.table("step").subarray(knownStep(steps) * width);
    const strength =
      (this.config.strengths ?? 1) > 1 ? this.table("strength").subarray(steps.strength * width) : undefined;
    const shape = this.several ? this.table("shape") : undefined;
    for (let at = 0; at < x.length / width; at++) {
      const { patch, place: corner } = quarter(at, columns);
      const level = Math.min(counts[patch], MAX_COUNT) * width;
      const form = (4 * (shapes?.[patch] ?? 0) + corner) * width;
      for (let c = 0; c < width; c++) {
        const side = count[level + c] + step[c] + (strength?.[c] ?? 0) + (shape?.[form + c] ?? 0);
        x[at * width + c] = clip(x[at * width + c] + Math.floor(side / WEIGHT));
      }
    }
  }

  /** Coefficients of what the codes look like, of all blocks, in units of 1/16 of a step of 8-bit pixels. */
  private picture({ rows, columns, latents }: DetailPlace): Float64Array {
    const [matrix, offset] = [this.table("matrix"), this.table("offset")];
    const dim = latents.length / (rows * columns);
    const size = offset.length;
    const sums = new Float64Array(size);
    const out = new Float64Array(rows * columns * size);
    for (let patch = 0; patch < rows * columns; patch++) {
      sums.set(offset);
      for (let d = 0; d < dim; d++) {
        const value = latents[patch * dim + d];
        if (!value) continue;
        const row = d * size;
        for (let i = 0; i < size; i++) sums[i] += value * matrix[row + i];
      }
      const [i, j] = [Math.floor(patch / columns), patch % columns];
      for (let corner = 0; corner < 4; corner++) {
        const to = ((2 * i + (corner >> 1)) * 2 * columns + 2 * j + (corner & 1)) * COEFFICIENTS;
        for (let k = 0; k < COEFFICIENTS; k++) out[to + k] = Math.floor(sums[corner * COEFFICIENTS + k] / 4096 + 0.5);
      }
    }
    return out;
  }

  private async block(x: Float32Array, number: number, height: number, width: number): Promise<Float32Array> {
    const depth = this.depthwise(x, `blocks.${number}.depth`, height, width);
    const wide = await this.layer(`blocks.${number}.expand`, depth);
    for (let i = 0; i < wide.length; i++) wide[i] = Math.max(0, Math.min(LIMIT, wide[i]));
    const out = await this.layer(`blocks.${number}.contract`, wide);
    for (let i = 0; i < out.length; i++) out[i] = clip(out[i] + x[i]);
    return out;
  }

  /** clip(D(x)). */
  private depthwise(x: Float32Array, name: string, height: number, width: number): Float32Array {
    const channels = this.config.channels;
    const [weight, bias] = [this.table(`${name}.weight`), this.table(`${name}.bias`)];
    const out = new Float32Array(x.length);
    const sums = new Float64Array(channels);
    for (let i = 0, at = 0; i < height; i++) {
      for (let j = 0; j < width; j++, at += channels) {
        sums.set(bias);
        for (let n = 0; n < 9; n++) {
          const [y, z] = [i + Math.floor(n / 3) - 1, j + (n % 3) - 1];
          if (y < 0 || y >= height || z < 0 || z >= width) continue;
          const [from, w] = [(y * width + z) * channels, n * channels];
          for (let c = 0; c < channels; c++) sums[c] += x[from + c] * weight[w + c];
        }
        for (let c = 0; c < channels; c++) out[at + c] = clip(Math.floor(sums[c] / WEIGHT));
      }
    }
    return out;
  }

  /** L(name, x). */
  private async layer(name: string, x: Float32Array): Promise<Float32Array> {
    const { table, bias, inputs } = this.weights.get(name)!;
    const y = await this.product.run(x, table, inputs);
    const size = bias.length;
    for (let at = 0; at < y.length; at += size) {
      for (let c = 0; c < size; c++) y[at + c] = Math.floor((y[at + c] + bias[c]) / WEIGHT);
    }
    return y;
  }

  private prepare(name: string): void {
    const bias = this.numbers(`${name}.bias`);
    const weight = this.numbers(`${name}.weight`);
    const inputs = weight.length / bias.length;
    this.checkSums(name, bias.length, false);
    const table = new Float32Array(weight.length);
    for (let o = 0; o < bias.length; o++) {
      for (let i = 0; i < inputs; i++) table[i * bias.length + o] = weight[o * inputs + i];
    }
    this.weights.set(name, { table, bias: Float32Array.from(bias), inputs });
  }

  /** Single precision holds all sums exactly. */
  private checkSums(name: string, outputs: number, across: boolean): void {
    const [weight, bias] = [this.numbers(`${name}.weight`), this.numbers(`${name}.bias`)];
    const sums = new Float64Array(outputs);
    const inputs = weight.length / outputs;
    weight.forEach((w, i) => {
      sums[across ? i % outputs : Math.floor(i / inputs)] += Math.abs(w);
    });
    const most = sums.reduce((all, sum, o) => Math.max(all, sum * LIMIT + Math.abs(bias[o])), 0);
    check(most + WEIGHT * LIMIT < EXACT, `${name} is too large for exact sums`);
  }

  private table(name: string): Float64Array {
    let found = this.tables.get(name);
    if (!found) {
      found = this.numbers(name);
      this.tables.set(name, found);
    }
    return found;
  }
}

/** Of a block: its patch, and its place there. */
function quarter(at: number, columns: number) {
  const [i, j] = [Math.floor(at / (2 * columns)), at % (2 * columns)];
  return { patch: (i >> 1) * columns + (j >> 1), place: 2 * (i & 1) + (j & 1) };
}

/** The blocks of 8 x 8 that one of a shape reaches over, in the place of one. */
function reached(at: number, place: number, columns: number, shape: number): number[] {
  const [down, across] = SHAPES[shape];
  const [y, x] = [place >> 1, place & 1];
  const found: number[] = [];
  for (let n = 0; n < 4; n++) {
    const [p, q] = [n >> 1, n & 1];
    if ((down || p === y) && (across || q === x)) found.push(at + 2 * columns * (p - y) + q - x);
  }
  return found;
}

/** Symbols as later passes see them. */
function seenAs(symbols: Int16Array, count: number): Float32Array {
  const out = new Float32Array(2 * symbols.length);
  for (let at = 0; at < symbols.length; at++) {
    const to = 2 * (at - (at % count)) + (at % count);
    out[to] = 64 * Math.max(-NEAR, Math.min(NEAR, symbols[at]));
    out[to + count] = 64 * Math.min(FAR, Math.abs(symbols[at]));
  }
  return out;
}

function logarithmsOf(x: Float64Array): Float32Array {
  const table = logarithms();
  const out = new Float32Array(x.length);
  for (let i = 0; i < x.length; i++) {
    const size = table[Math.min(Math.abs(x[i]), LOGARITHMS - 1)];
    out[i] = x[i] < 0 ? -size : size;
  }
  return out;
}

let known: Float32Array | undefined;

/** 64 log2(1 + i / 16), rounded. */
function logarithms(): Float32Array {
  known ??= Float32Array.from({ length: LOGARITHMS }, (_, i) => {
    const exact = 128 * Math.log2(16 + i);
    let bits = Math.floor(exact) + 1;
    // What rounding could have got wrong.
    if (Math.abs(exact - Math.round(exact)) < 1e-6) bits = (BigInt(16 + i) ** 128n).toString(2).length;
    return Math.floor((bits - 512) / 2);
  });
  return known;
}

function clip(x: number): number {
  return Math.max(-LIMIT, Math.min(LIMIT, x));
}
