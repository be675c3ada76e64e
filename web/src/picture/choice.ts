import { FREQUENCY_BITS } from "../josie/range_coder";
import type { Dependent } from "./coefficient_bits";
import { type DetailCoder, leaveOut, MAX_SYMBOL, type Patches, REST_BITS, SYMBOLS, stepSizes } from "./detail";
import { type DetailNetwork, type Steps, shiftsOf } from "./detail_network";
import { COEFFICIENTS, SHAPES } from "./transform";
import { chooseDependent, sizeBits } from "./trellis";

const SHRINK = 0.05;
const MOST = MAX_SYMBOL + 2 ** REST_BITS - 1;
/** Bits of each shape, before any are counted. */
const USUAL_BITS = [1, 2, 3.5, 3.5];

/** What a detail is chosen for: steps, what a bit costs in units of the step squared, and what has none. */
export interface Wish {
  steps: Steps;
  /** [blocks, 192]. */
  price: Float32Array;
  grey: boolean;
  leftOut: Uint8Array | undefined;
}

/** What each pass codes, and what these coefficients are in parts of a step. */
export type Chosen = { scales: Int16Array; symbols: Int16Array; levels: Int16Array }[];

/** Chooses coefficients by rate and distortion. */
export class Chooser {
  private readonly network: DetailNetwork;
  /** Of each symbol at each scale. */
  private readonly bits: Float64Array;
  /** Of each size at each scale with either quantizer, if these depend on what came before. */
  private readonly sizes: Float64Array | undefined;

  constructor({ network, numbers, dependent }: DetailCoder) {
    this.network = network;
    if (dependent) {
      const sizes = sizeBits(numbers("decisions"), REST_BITS);
      this.sizes = sizes;
      this.bits = Float64Array.from({ length: network.scales * SYMBOLS }, (_, i) => {
        const size = Math.abs((i % SYMBOLS) - MAX_SYMBOL);
        return sizes[Math.floor(i / SYMBOLS) * (MAX_SYMBOL + 1) + size];
      });
      return;
    }
    this.bits = numbers("frequencies").map((count, i) => {
      const more = i % SYMBOLS === 0 || i % SYMBOLS === SYMBOLS - 1 ? REST_BITS : 0;
      return FREQUENCY_BITS - Math.log2(count) + more;
    });
  }

  /** The coefficients that make error + price x bits least; `wanted` in units of 8-bit pixels, [blocks, 192]. */
  async choose(patches: Patches, wanted: Float32Array, shapes: Uint8Array | undefined, wish: Wish): Promise<Chosen> {
    const { steps, price, grey, leftOut } = wish;
    const relative = inSteps(wanted, steps);
    const passes: Chosen = [];
    await this.network.run({ ...patches, steps, shapes }, (scales, members) => {
      leaveOut(scales, members, patches.columns, grey, leftOut);
      const found = this.sizes
        ? chooseDependent(relative, members, scales, price, this.sizes, this.network.scales, MOST)
        : this.pass(relative, members, scales, price);
      passes.push({ scales, ...found });
      return found.symbols;
    });
    return passes;
  }

  /** The shape of the blocks of each patch that makes error over price + bits least, of coefficients in each shape. */
  async shapes(patches: Patches, wanted: Float32Array[], wish: Wish): Promise<Uint8Array> {
    const { steps, price, grey, leftOut } = wish;
    const count = patches.counts.length;
    const relative = wanted.map((values) => inSteps(values, steps));
    const costs = SHAPES.map(() => new Float64Array(4 * count));
    const levels: Float32Array[] = [];
    const plain = { ...patches, steps, shapes: new Uint8Array(count) };
    await this.network.run(
      plain,
      (own, members, number) => {
        let first = new Int16Array(0);
        SHAPES.forEach((_, shape) => {
          const form = new Uint8Array(count).fill(shape);
          const scales = shape ? this.network.scalesOf(levels[number], number, patches.columns, steps, form) : own;
          leaveOut(scales, members, patches.columns, grey, leftOut);
          const { symbols } = this.pass(relative[shape], members, scales, price, costs[shape]);
          if (!shape) first = symbols as typeof first;
        });
        return first;
      },
      (found, number) => {
        levels[number] = found;
      },
    );
    return bestShapes(costs, patches.columns, leftOut);
  }

  /** Coefficients of a pass; what they cost is added to `costs` of their blocks. */
  private pass(
    relative: Float32Array,
    members: number[],
    scales: Int16Array,
    price: Float32Array,
    costs?: Float64Array,
  ): Dependent {
    const { bits } = this;
    const count = members.length;
    const symbols = new Int16Array(scales.length);
    for (let i = 0; i < scales.length; i++) {
      const block = Math.floor(i / count);
      const at = block * COEFFICIENTS + members[i - block * count];
      const value = relative[at];
      const size = Math.abs(value);
      const zero = scales[i] * SYMBOLS + MAX_SYMBOL;
      if (scales[i] < 0 || size <= 0.5) {
        if (costs) costs[block] += size ** 2 / price[at] + (scales[i] < 0 ? 0 : bits[zero]);
        continue;
      }
      const above = Math.min(MOST, Math.max(1, Math.floor(size + 0.5)));
      const below = above - 1;
      const less = (size - below + (below > 0 ? SHRINK : 0)) ** 2;
      const more = (size - above + SHRINK) ** 2;
      const used = bits[zero + Math.min(MAX_SYMBOL, below)];
      const dearer = bits[zero + Math.min(MAX_SYMBOL, above)];
      const up = more + price[at] * dearer < less + price[at] * used;
      symbols[i] = Math.sign(value) * (up ? above : below);
      if (costs) costs[block] += (up ? more : less) / price[at] + (up ? dearer : used);
    }
    return { symbols, levels: symbols };
  }
}

function inSteps(values: Float32Array, steps: Steps): Float32Array {
  const sizes = Float32Array.from(stepSizes(steps, shiftsOf(steps)));
  return values.map((value, i) => value / sizes[i % COEFFICIENTS]);
}

/** The cheapest shape of each patch, their own bits counted as often as they are taken. */
function bestShapes(costs: Float64Array[], columns: number, leftOut: Uint8Array | undefined): Uint8Array {
  const count = costs[0].length / 4;
  const each = costs.map((blocks) => {
    const patches = new Float64Array(count);
    blocks.forEach((cost, at) => {
      const [i, j] = [Math.floor(at / (2 * columns)), at % (2 * columns)];
      patches[(i >> 1) * columns + (j >> 1)] += cost;
    });
    return patches;
  });
  let bits = USUAL_BITS;
  let chosen = new Uint8Array(count);
  for (let turn = 0; turn < 2; turn++) {
    chosen = chosen.map((_, at) => {
      const totals = each.map((patches, shape) => patches[at] + bits[shape]);
      return leftOut?.[at] ? 0 : totals.indexOf(Math.min(...totals));
    });
    const counted = USUAL_BITS.map((_, shape) => chosen.filter((own, at) => own === shape && !leftOut?.[at]).length);
    const all = counted.reduce((sum, n) => sum + n, 0);
    bits = counted.map((n, shape) => -Math.log2((n + 4 * 2 ** -USUAL_BITS[shape]) / (all + 4)));
  }
  return chosen;
}
