import type { Product, Weights } from "./graph";

/** Settings of a quantizer, of `config.json`. */
export interface QuantizerConfig {
  codebook_size: number;
  acoustic_levels: number;
  dim: number;
  semantic_dim: number | null;
  shared_from: number;
}

/** One codebook: codes [S, D], and what distances are computed from, the table being [D, S]. */
interface Level {
  codes: Float32Array;
  dim: number;
  scale: number;
  center: Float32Array;
  table: Float32Array;
  bias: Float32Array;
}

const f = Math.fround;

/** The semantic codebook and the acoustic stack of a model. */
export class Quantizer {
  private readonly levels = new Map<number, Level>();

  constructor(
    private readonly config: QuantizerConfig,
    private readonly weights: Weights,
    private readonly product: Product,
  ) {}

  /** Codes [F, K] -> vectors of the semantic codebook [F, D], and sums of those of the stack [F, E]. */
  sums(codes: ArrayLike<number>, frames: number, levels: number): { semantic: Float32Array; acoustic: Float32Array } {
    const first = this.level(0);
    const semantic = new Float32Array(frames * first.dim);
    const dim = this.config.dim;
    const acoustic = new Float32Array(frames * dim);
    for (let t = 0; t < frames; t++) {
      const code = codes[t * levels]!;
      semantic.set(first.codes.subarray(code * first.dim, (code + 1) * first.dim), t * first.dim);
      for (let k = 1; k < levels; k++) {
        const level = this.level(k);
        const from = codes[t * levels + k]! * dim;
        for (let d = 0; d < dim; d++) acoustic[t * dim + d]! += f(level.codes[from + d]! * level.scale);
      }
    }
    return { semantic, acoustic };
  }

  /** Vectors [F, D] and [F, E] -> codes [F, levels]; of the acoustic ones `beams` hypotheses are kept. */
  async search(semantic: Float32Array, acoustic: Float32Array, levels: number, beams: number): Promise<Uint16Array> {
    const size = this.config.codebook_size;
    const first = this.level(0);
    const frames = semantic.length / first.dim;
    const out = new Uint16Array(frames * levels);
    const scores = await this.similarity(first, semantic);
    for (let t = 0; t < frames; t++) out[t * levels] = greatest(scores, new Float32Array(1), t * size, size, 1)[0]!;
    const dim = this.config.dim;
    let rest = acoustic; // [F, m, E], what each hypothesis leaves over
    let hypotheses = 1;
    let chosen: Uint16Array[] = []; // code of each level so far in each hypothesis, [F, m]
    for (let k = 1; k < levels; k++) {
      const level = this.level(k);
      const scaled = level.scale === 1 ? rest : rest.map((x) => x / level.scale);
      const found = await this.similarity(level, scaled);
      const offsets = this.offsets(level, scaled);
      const next = Math.min(beams, hypotheses * size);
      const kept = new Float32Array(frames * next * dim);
      const codes = chosen.map(() => new Uint16Array(frames * next));
      const own = new Uint16Array(frames * next);
      for (let t = 0; t < frames; t++) {
        const some = offsets.subarray(t * hypotheses, (t + 1) * hypotheses);
        greatest(found, some, t * hypotheses * size, size, next).forEach((index, m) => {
          const [code, parent] = [index % size, t * hypotheses + Math.floor(index / size)];
          const at = t * next + m;
          own[at] = code;
          chosen.forEach((before, i) => {
            codes[i]![at] = before[parent]!;
          });
          for (let d = 0; d < dim; d++) {
            kept[at * dim + d] = f(rest[parent * dim + d]! - f(level.codes[code * dim + d]! * level.scale));
          }
        });
      }
      [rest, hypotheses, chosen] = [kept, next, [...codes, own]];
    }
    for (let t = 0; t < frames; t++) {
      chosen.forEach((codes, i) => {
        out[t * levels + 1 + i] = codes[t * hypotheses]!;
      });
    }
    return out;
  }

  /** z.c - |c|^2 / 2 of vectors [n, D] and all codes, about the mean of the codes: [n, S]. */
  private async similarity(level: Level, x: Float32Array): Promise<Float32Array> {
    const shifted = x.map((value, i) => value - level.center[i % level.dim]!);
    const scores = await this.product.run(shifted, level.table, level.dim);
    const size = level.bias.length;
    for (let i = 0; i < scores.length; i++) scores[i]! += level.bias[i % size]!;
    return scores;
  }

  /** -|z|^2 / 2, of vectors [n, D]. */
  private offsets(level: Level, x: Float32Array): Float32Array {
    const out = new Float32Array(x.length / level.dim);
    x.forEach((value, i) => {
      const off = f(value - level.center[i % level.dim]!);
      out[Math.floor(i / level.dim)]! -= 0.5 * off * off;
    });
    return out;
  }

  private level(k: number): Level {
    const known = this.levels.get(k);
    if (known) return known;
    const { shared_from: shared } = this.config;
    const own = shared < 0 ? k - 1 : Math.min(k - 1, shared);
    const name = k ? `acoustic_rvq.quantizers.${own}.codebook.weight` : "semantic_rvq.codebook.weight";
    const found = this.weights(name);
    if (!found) throw new Error(`${name} is missing`);
    const made = levelOf(found.values, found.shape[1]!, this.scale(k));
    this.levels.set(k, made);
    return made;
  }

  /** The size of what a level codes in units of its codebook. */
  private scale(k: number): number {
    const { shared_from: shared } = this.config;
    if (shared < 0 || k - 1 <= shared) return 1;
    const size = this.weights("acoustic_rvq.size")!.values.map((x) => Math.max(x, 1e-12));
    return f(Math.sqrt(f(size[k - 1]! / size[shared]!)));
  }
}

function levelOf(codes: Float32Array, dim: number, scale: number): Level {
  const size = codes.length / dim;
  const sum = new Float64Array(dim);
  codes.forEach((x, i) => {
    sum[i % dim]! += x;
  });
  const center = Float32Array.from(sum, (x) => x / size);
  const table = new Float32Array(codes.length);
  const bias = new Float32Array(size);
  for (let s = 0; s < size; s++) {
    let square = 0;
    for (let d = 0; d < dim; d++) {
      const off = f(codes[s * dim + d]! - center[d]!);
      table[d * size + s] = off;
      square += off * off;
    }
    bias[s] = -0.5 * square;
  }
  return { codes, dim, scale, center, table, bias };
}

/** Where the `count` greatest of scores + offset are, in order, of the rows of one frame. */
export function greatest(
  scores: Float32Array,
  offsets: Float32Array,
  first: number,
  size: number,
  count: number,
): number[] {
  const values = new Float32Array(count).fill(Number.NEGATIVE_INFINITY);
  const places = new Array<number>(count).fill(0);
  for (let row = 0; row < offsets.length; row++) {
    const offset = offsets[row]!;
    for (let s = 0; s < size; s++) {
      const value = f(scores[first + row * size + s]! + offset);
      if (value <= values[count - 1]!) continue;
      let at = count - 1;
      for (; at > 0 && value > values[at - 1]!; at--) {
        values[at] = values[at - 1]!;
        places[at] = places[at - 1]!;
      }
      values[at] = value;
      places[at] = row * size + s;
    }
  }
  return places;
}
