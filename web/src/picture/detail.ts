import { check } from "../josie/errors";
import { FREQUENCY_BITS, RangeDecoder, RangeEncoder } from "../josie/range_coder";
import { CoefficientBits, type Dependent } from "./coefficient_bits";
import type { DetailNetwork, DetailPlace, Steps } from "./detail_network";
import type { DetailConfig } from "./model";
import { codeShapes } from "./shape_map";
import { COEFFICIENTS, COLORS } from "./transform";

const STEPS = 129;
const FINEST = 4;
const PER_OCTAVE = 24;
const RATIO = 0.15;
const SHRINK = 0.05;
/** Sizes of symbols; the last one is "or more". */
export const MAX_SYMBOL = 15;
export const SYMBOLS = 2 * MAX_SYMBOL + 1;
/** Bits of what is more. */
export const REST_BITS = 12;
/** Coefficients of brightness, the first ones. */
const BRIGHTNESS = COEFFICIENTS / COLORS;

/** Coefficients of blocks, [blocks, 192] in parts of their steps, and what they were coded with. */
export interface Detail {
  steps: Steps;
  levels: Int16Array;
  /** How many make a step. */
  parts: number;
  shapes: Uint8Array | undefined;
}

/** Patches of a block of a file, without what is in the bytes of its detail. */
export type Patches = Omit<DetailPlace, "steps" | "shapes">;

/** Size of the step of each coefficient, in units of 8-bit pixels. */
export function stepSizes(steps: Steps, shifts: number[]): number[] {
  return shifts.map((shift) => FINEST * 2 ** (steps.index / PER_OCTAVE) * Math.exp(RATIO * shift));
}

/** What a coefficient is, in units of its step. */
export function shrunk(level: number, parts: number): number {
  return level / parts - SHRINK * Math.sign(level);
}

/** Codes the passes of the coefficients of some patches, one after the other. */
interface PassCoder {
  decode(decoder: RangeDecoder, number: number, members: number[], scales: Int16Array): Dependent;
  encode(encoder: RangeEncoder, number: number, members: number[], scales: Int16Array, symbols: Int16Array): void;
}

/** Codes coefficients, with the frequencies of their scales or bit by bit. */
export class DetailCoder {
  /** Whether coefficients are quantized dependently. */
  readonly dependent: boolean;
  private readonly strengths: number;
  /** Whether bases without coefficients are smoothed, too. */
  private readonly bases: boolean;

  constructor(
    readonly network: DetailNetwork,
    readonly numbers: (name: string) => Float64Array,
    { strengths, states, bases }: DetailConfig,
  ) {
    this.bases = bases ?? false;
    this.strengths = strengths ?? 1;
    this.dependent = (states ?? 1) > 1;
  }

  /** Parts of a step that coefficients are in. */
  get parts(): number {
    return this.dependent ? 2 : 1;
  }

  private passes(patches: Patches): PassCoder {
    const { numbers } = this;
    if (!this.dependent) return new FrequencyCoder(numbers("frequencies"), this.network.scales);
    const tables = { decisions: numbers("decisions"), chances: numbers("chances"), mixing: numbers("mixing") };
    const bits = new CoefficientBits(tables, 2 * patches.rows, 2 * patches.columns);
    return { decode: bits.pass.bind(bits), encode: bits.pass.bind(bits) };
  }

  /** The detail of some patches; nothing is coded of those left out, and of greys nothing of the colours. */
  async decode(data: Uint8Array, patches: Patches, grey: boolean, leftOut?: Uint8Array): Promise<Detail> {
    const head = this.strengths > 1 ? 2 : 1;
    const steps = { index: data[0] ?? STEPS, strength: head > 1 ? (data[1] ?? this.strengths) : 0 };
    check(steps.index < STEPS && steps.strength < this.strengths, "a detail layer without a step that there is");
    const all = new Int16Array(4 * patches.counts.length * COEFFICIENTS);
    const shapes = this.network.several ? new Uint8Array(patches.counts.length) : undefined;
    if (this.bases && data.length === head) return { steps, levels: all, parts: this.parts, shapes };
    const decoder = new RangeDecoder(data.subarray(head));
    if (shapes) codeShapes(decoder, shapes, patches.counts, patches.columns, leftOut);
    const coder = this.passes(patches);
    await this.network.run({ ...patches, steps, shapes }, (scales, members, number) => {
      leaveOut(scales, members, patches.columns, grey, leftOut);
      const { symbols, levels } = coder.decode(decoder, number, members, scales);
      spread(levels, members, all);
      return symbols;
    });
    check(decoder.ended, "bytes behind the detail");
    return { steps, levels: all, parts: this.parts, shapes };
  }

  /** The inverse of `decode`, given the scales and coefficients of each pass. */
  encode(
    steps: Steps,
    shapes: Uint8Array | undefined,
    patches: Patches,
    passes: { scales: Int16Array; symbols: Int16Array }[],
    leftOut?: Uint8Array,
  ): Uint8Array {
    const encoder = new RangeEncoder();
    if (shapes) codeShapes(encoder, shapes, patches.counts, patches.columns, leftOut);
    const coder = this.passes(patches);
    passes.forEach(({ scales, symbols }, number) => {
      coder.encode(encoder, number, this.network.passes[number], scales, symbols);
    });
    const data = encoder.finish();
    const head = this.strengths > 1 ? [steps.index, steps.strength] : [steps.index];
    return Uint8Array.from([...head, ...data]);
  }
}

/** Codes coefficients with the frequencies of their scales. */
class FrequencyCoder implements PassCoder {
  /** Where the frequencies of the symbols of each scale begin, and 2^15. */
  private readonly starts: Float64Array;

  constructor(frequencies: Float64Array, scales: number) {
    this.starts = new Float64Array(scales * (SYMBOLS + 1));
    for (let scale = 0; scale < scales; scale++) {
      let sum = 0;
      for (let i = 0; i < SYMBOLS; i++) {
        this.starts[scale * (SYMBOLS + 1) + i] = sum;
        sum += frequencies[scale * SYMBOLS + i];
        check(frequencies[scale * SYMBOLS + i] >= 1, "a frequency of nothing");
      }
      this.starts[scale * (SYMBOLS + 1) + SYMBOLS] = sum;
      check(sum === 2 ** FREQUENCY_BITS, "frequencies of another sum");
    }
  }

  decode(decoder: RangeDecoder, _number: number, _members: number[], scales: Int16Array): Dependent {
    const found = new Int16Array(scales.length);
    const large: number[] = [];
    for (let i = 0; i < scales.length; i++) {
      if (scales[i] < 0) continue;
      found[i] = decoder.symbol(this.starts, scales[i] * (SYMBOLS + 1), SYMBOLS) - MAX_SYMBOL;
      if (found[i] === MAX_SYMBOL || found[i] === -MAX_SYMBOL) large.push(i);
    }
    for (const i of large) found[i] += Math.sign(found[i]) * decoder.raw(REST_BITS);
    return { symbols: found, levels: found };
  }

  encode(encoder: RangeEncoder, _number: number, _members: number[], scales: Int16Array, symbols: Int16Array): void {
    const rests: number[] = [];
    for (let i = 0; i < scales.length; i++) {
      if (scales[i] < 0) continue;
      const size = Math.abs(symbols[i]);
      if (size >= MAX_SYMBOL) rests.push(size - MAX_SYMBOL);
      const at = Math.max(-MAX_SYMBOL, Math.min(MAX_SYMBOL, symbols[i])) + MAX_SYMBOL;
      const first = scales[i] * (SYMBOLS + 1) + at;
      encoder.encode(this.starts[first], this.starts[first + 1] - this.starts[first], FREQUENCY_BITS);
    }
    for (const rest of rests) encoder.raw(REST_BITS, rest);
  }
}

/** Marks what is not coded with a negative scale. */
export function leaveOut(
  scales: Int16Array,
  members: number[],
  columns: number,
  grey: boolean,
  leftOut: Uint8Array | undefined,
): void {
  if (!grey && !leftOut) return;
  const count = members.length;
  for (let block = 0; block < scales.length / count; block++) {
    const [i, j] = [Math.floor(block / (2 * columns)), block % (2 * columns)];
    const out = leftOut?.[(i >> 1) * columns + (j >> 1)];
    for (let m = 0; m < count; m++) if (out || (grey && members[m] >= BRIGHTNESS)) scales[block * count + m] = -1;
  }
}

/** Puts the coefficients of a pass where they belong. */
export function spread(found: Int16Array, members: number[], symbols: Int16Array): void {
  const count = members.length;
  for (let block = 0; block < found.length / count; block++) {
    for (let m = 0; m < count; m++) symbols[block * COEFFICIENTS + members[m]] = found[block * count + m];
  }
}
