import type { Weights } from "../model/graph";
import type { StackConfig } from "./model";

const f = Math.fround;

/** The codebooks of a model of pictures. */
export class Stack {
  private readonly own: number;
  private readonly known = new Map<string, Float32Array>();

  constructor(
    private readonly config: StackConfig,
    private readonly weights: Weights,
    readonly dim: number,
  ) {
    const { levels, shared_from: shared } = config;
    this.own = shared < 0 ? levels : Math.min(levels, shared + 1);
  }

  get levels(): number {
    return this.config.levels;
  }

  get size(): number {
    return this.config.codebook_size;
  }

  /** Which codebook a level has. */
  book(level: number): number {
    return Math.min(level, this.own - 1);
  }

  /** The codes of a level, [S, D]. */
  codes(level: number): Float32Array {
    return this.found(`rvq.quantizers.${this.book(level)}.codebook.weight`);
  }

  /** The size of what a level codes in units of its codebook. */
  scale(level: number): number {
    if (level < this.own) return 1;
    const size = this.found("rvq.size").map((x) => Math.max(x, 1e-12));
    return f(Math.sqrt(f(size[level] / size[this.own - 1])));
  }

  /** Codes of patches one after the other -> sums of their vectors [patches, D]. */
  sums(codes: Uint16Array, counts: Uint8Array): Float32Array {
    return this.added(codes, counts, new Float32Array(counts.length * this.dim), (x) => x);
  }

  /** The same of vectors in whole units of 1 / 256, which are the same on every machine. */
  wholeSums(codes: Uint16Array, counts: Uint8Array): Float64Array {
    return this.added(codes, counts, new Float64Array(counts.length * this.dim), (x) => roundToEven(f(x * 256)));
  }

  private added<T extends Float32Array | Float64Array>(
    codes: Uint16Array,
    counts: Uint8Array,
    out: T,
    each: (x: number) => number,
  ): T {
    const most = counts.reduce((all, count) => Math.max(all, count), 0);
    const vectors = Array.from({ length: most }, (_, k) => ({ codes: this.codes(k), scale: this.scale(k) }));
    let at = 0;
    counts.forEach((count, patch) => {
      for (let k = 0; k < count; k++, at++) {
        const from = codes[at] * this.dim;
        const { codes: table, scale } = vectors[k];
        for (let d = 0; d < this.dim; d++) out[patch * this.dim + d] += each(f(table[from + d] * scale));
      }
    });
    return out;
  }

  private found(name: string): Float32Array {
    let values = this.known.get(name);
    if (!values) {
      values = this.weights(name)?.values;
      if (!values) throw new Error(`${name} is missing`);
      this.known.set(name, values);
    }
    return values;
  }
}

function roundToEven(x: number): number {
  const near = Math.round(x);
  return near - x === 0.5 && near % 2 ? near - 1 : near;
}
