import type { EntropyTables } from "../josie/entropy_tables";
import { codeBits } from "../josie/fixed_codes";
import type { Product } from "../model/graph";
import { greatest } from "../model/quantizer";
import type { Stack } from "./stack";

const f = Math.fround;
/** Of the error that is left, the most that one more level takes away. */
const MAX_GAIN = 0.6;
/** Squared error that one level leaves over: below the first, patches are as smooth as can be. */
const [CLEAR, USUAL] = [0.3, 2];
const MAX_SCALE = 10;
/** Patches that are compared with all codes together. */
const CHUNK = 128;

/** Levels of each patch, and their codes one after the other. */
export interface Base {
  counts: Uint8Array;
  codes: Uint16Array;
}

/** What every number of levels of some patches costs, and their codes. */
interface Found {
  /** [patches, levels + 1], infinite where the search had stopped. */
  errors: Float32Array;
  /** Of each level the last code of each hypothesis, and which one before it goes on from: [patches, beams]. */
  codes: Uint16Array[];
  parents: Uint8Array[];
}

/** Codes of patches, by rate and distortion. */
export class Search {
  private readonly tables = new Map<number, { table: Float32Array; center: Float32Array }>();
  private readonly bits: number;

  constructor(
    private readonly stack: Stack,
    private readonly entropy: EntropyTables,
    private readonly product: Product,
    private readonly beams: number,
    private readonly masking: number,
  ) {
    this.bits = codeBits(stack.size);
  }

  /** Levels and codes of patches [n, D] that make squared error + lambda x bits least. */
  async base(latents: Float32Array, lambda: number, progress: (share: number) => void = () => {}): Promise<Base> {
    const { stack, bits } = this;
    const patches = latents.length / stack.dim;
    const levels = stack.levels;
    const counts = new Uint8Array(patches);
    const codes: number[] = [];
    for (let first = 0; first < patches; first += CHUNK) {
      const some = latents.subarray(first * stack.dim, (first + CHUNK) * stack.dim);
      const scaled = (await this.scales(some)).map((scale) => f(scale * lambda));
      const found = await this.run(some, levels, this.beams, scaled);
      for (let n = 0; n < scaled.length; n++) {
        let [count, least] = [0, Number.POSITIVE_INFINITY];
        for (let k = 0; k <= levels; k++) {
          const total = f(found.errors[n * (levels + 1) + k] + f(scaled[n] * k * bits));
          if (total < least) [count, least] = [k, total];
        }
        counts[first + n] = count;
        codes.push(...path(found, n, count, this.beams));
      }
      progress(Math.min(1, (first + CHUNK) / patches));
    }
    return { counts, codes: Uint16Array.from(codes) };
  }

  /** What lambda is multiplied with: an error counts less in a busy patch. */
  private async scales(latents: Float32Array): Promise<Float32Array> {
    const { errors } = await this.run(latents, 1, 1, undefined);
    return Float32Array.from({ length: errors.length / 2 }, (_, n) => {
      const scale = ((errors[2 * n + 1] + CLEAR) / USUAL) ** this.masking;
      return Math.max(1 / MAX_SCALE, Math.min(MAX_SCALE, scale));
    });
  }

  /** The search, at a lambda for each patch; without one all levels are searched, and codes cost nothing. */
  private async run(x: Float32Array, levels: number, beams: number, lambda: Float32Array | undefined): Promise<Found> {
    const { dim, size } = this.stack;
    const patches = x.length / dim;
    const found: Found = { errors: new Float32Array(patches * (levels + 1)).fill(Infinity), codes: [], parents: [] };
    for (let n = 0; n < patches; n++) {
      let sum = 0;
      for (let d = 0; d < dim; d++) sum += x[n * dim + d] ** 2;
      found.errors[n * (levels + 1)] = sum;
    }
    let active = Array.from({ length: patches }, (_, n) => n);
    let [rest, cost, width] = [x, new Float32Array(patches), 1];
    for (let k = 0; k < levels; k++) {
      const limit = (n: number) => (lambda ? (lambda[n] * this.bits) / MAX_GAIN : -1);
      const goes = active.map((n) => found.errors[n * (levels + 1) + k] > limit(n));
      if (!goes.includes(true)) break;
      rest = kept(rest, goes, width * dim);
      cost = kept(cost, goes, width);
      active = active.filter((_, i) => goes[i]);
      const scale = this.stack.scale(k);
      const costs = lambda && this.costs(k);
      const weights = Float32Array.from(active, (n) => (lambda ? lambda[n] / scale ** 2 : 0));
      const { scores, offsets } = await this.scores(k, rest, cost, weights, width);
      const next = Math.min(beams, width * size);
      const codes = this.stack.codes(k);
      const [own, parents] = [new Uint16Array(patches * beams), new Uint8Array(patches * beams)];
      const left = new Float32Array(active.length * next * dim);
      const spent = new Float32Array(active.length * next);
      active.forEach((n, i) => {
        const some = offsets.subarray(i * width, (i + 1) * width);
        greatest(scores, some, i * width * size, size, next).forEach((index, m) => {
          const [code, parent] = [index % size, Math.floor(index / size)];
          if (!m) {
            const best = f(scores[i * width * size + index] + some[parent]);
            found.errors[n * (levels + 1) + k + 1] = f(Math.max(0, -2 * best) * scale ** 2);
          }
          own[n * beams + m] = code;
          parents[n * beams + m] = parent;
          spent[i * next + m] = cost[i * width + parent] + (costs ? costs[code] : 0);
          const [from, to] = [(i * width + parent) * dim, (i * next + m) * dim];
          for (let d = 0; d < dim; d++) left[to + d] = f(rest[from + d] - f(codes[code * dim + d] * scale));
        });
      });
      found.codes.push(own);
      found.parents.push(parents);
      [rest, cost, width] = [left, spent, next];
    }
    return found;
  }

  /** Half of what each code takes off the error, and what it has cost so far: of hypotheses [n, D], [n, S] and [n]. */
  private async scores(level: number, rest: Float32Array, cost: Float32Array, weights: Float32Array, width: number) {
    const { dim } = this.stack;
    const scale = this.stack.scale(level);
    const { table, center } = this.table(level);
    const rows = rest.length / dim;
    const x = new Float32Array(rows * (dim + 2));
    const offsets = new Float32Array(rows);
    for (let i = 0; i < rows; i++) {
      const weight = weights[Math.floor(i / width)];
      let square = 0;
      for (let d = 0; d < dim; d++) {
        const off = f(f(rest[i * dim + d] / scale) - center[d]);
        x[i * (dim + 2) + d] = off;
        square += off * off;
      }
      x[i * (dim + 2) + dim] = weight;
      x[i * (dim + 2) + dim + 1] = 1;
      offsets[i] = -0.5 * (square + cost[i] * weight);
    }
    return { scores: await this.product.run(x, table, dim + 2), offsets };
  }

  /** Codes about their middle [D, S], and below them what their costs and their sizes add. */
  private table(level: number): { table: Float32Array; center: Float32Array } {
    const known = this.tables.get(level);
    if (known) return known;
    const { dim, size } = this.stack;
    const codes = this.stack.codes(level);
    const sums = new Float64Array(dim);
    codes.forEach((x, i) => {
      sums[i % dim] += x;
    });
    const center = Float32Array.from(sums, (x) => x / size);
    const costs = this.costs(level);
    const table = new Float32Array((dim + 2) * size);
    for (let s = 0; s < size; s++) {
      let square = 0;
      for (let d = 0; d < dim; d++) {
        const off = f(codes[s * dim + d] - center[d]);
        table[d * size + s] = off;
        square += off * off;
      }
      table[dim * size + s] = -0.5 * costs[s];
      table[(dim + 1) * size + s] = -0.5 * square;
    }
    const made = { table, center };
    this.tables.set(level, made);
    return made;
  }

  /** Bits of each code beside those of a code of fixed length. */
  private costs(level: number): Float32Array {
    return Float32Array.from(this.entropy.typicalBits(level), (bits) => bits - this.bits);
  }
}

/** Codes of the best hypothesis of so many levels. */
function path({ codes, parents }: Found, patch: number, count: number, beams: number): number[] {
  const out = new Array<number>(count);
  let beam = 0;
  for (let k = count - 1; k >= 0; k--) {
    out[k] = codes[k][patch * beams + beam];
    beam = parents[k][patch * beams + beam];
  }
  return out;
}

/** Those of pieces of `size` numbers that go on. */
function kept(values: Float32Array, goes: boolean[], size: number): Float32Array<ArrayBuffer> {
  const out = new Float32Array(goes.filter((on) => on).length * size);
  let at = 0;
  goes.forEach((on, i) => {
    if (!on) return;
    out.set(values.subarray(i * size, (i + 1) * size), at);
    at += size;
  });
  return out;
}
