import type { EntropyTables } from "../josie/entropy_tables";
import { type Codebooks, encodePatches, type PatchBlock } from "../josie/patch_payload";
import { Chooser, type Chosen } from "./choice";
import { blockRows, type CodedBlock, MAX_PAYLOAD } from "./coded_block";
import { type DetailCoder, type Patches, spread } from "./detail";
import type { Steps } from "./detail_network";
import { cropped, type Grid, grid } from "./grid";
import { type Base, Search } from "./search";
import { clipped, inGrey, type Progress, residualOf, type StillCodec } from "./still";
import { COEFFICIENTS, COLORS, PATCH, SHAPES, toCoefficients } from "./transform";
import { errorWeights } from "./window_weights";

/** Lambda of a base with detail, whatever the step. */
const BASE_LAMBDA = 0.036;
const MASKING = 0.3;
/** Hypotheses of the search for codes; fewer in large pictures, which take long enough. */
const [BEAMS, FEW_BEAMS, LARGE] = [16, 4, 4096];
/** Of a bit, in units of the step squared, without and with dependent quantization. */
const BIT_PRICES = [0.125, 0.105];
const STRENGTH = 1;
/** Power of the weight that an error has in structural similarity, which bits are cheaper by, and bounds of that. */
const [WEIGHTING, MOST_DEAR] = [0.2, 12];

/** How a picture is coded: index of the step of its detail, and whether it is one of greys. */
export interface Manner {
  step: number;
  grey: boolean;
}

/** Encodes one picture [H, W, 3] of whole patches in 0 to 1. */
export class PictureEncoder {
  private readonly chooser: Chooser;
  private readonly steps: Steps;
  /** How much a bit of each coefficient costs beside the usual one. */
  private readonly dearer: Float32Array;
  private decoded: Grid | undefined;

  private constructor(
    private readonly codec: StillCodec,
    private readonly detail: DetailCoder,
    private readonly tables: EntropyTables,
    private readonly books: Codebooks,
    private readonly picture: Grid,
    private readonly manner: Manner,
    strengths: number,
  ) {
    this.chooser = new Chooser(detail);
    this.steps = { index: manner.step, strength: Math.min(STRENGTH, strengths - 1) };
    this.dearer = dearness(picture, detail.network.several);
  }

  /** All blocks of a picture. */
  static async encode(
    codec: StillCodec,
    tables: EntropyTables,
    picture: Grid,
    manner: Manner,
    progress: Progress = () => {},
  ): Promise<CodedBlock[]> {
    const { files } = codec.network;
    const books = { levels: codec.stack.levels, codebookSize: codec.stack.size };
    const strengths = files.config.detail?.strengths ?? 1;
    if (!codec.detail) throw new Error("a model that does not encode here");
    const own = new PictureEncoder(codec, codec.detail, tables, books, picture, manner, strengths);
    return own.blocks(await files.product(), progress);
  }

  private async blocks(product: ConstructorParameters<typeof Search>[2], progress: Progress): Promise<CodedBlock[]> {
    const { codec, picture } = this;
    const latent = await codec.network.encode(picture);
    progress(0.1);
    const beams = latent.height * latent.width > LARGE ? FEW_BEAMS : BEAMS;
    const search = new Search(codec.stack, this.tables, product, beams, MASKING);
    const base = await search.base(latent.values, BASE_LAMBDA, (share) => progress(0.1 + 0.4 * share));
    const drawn = clipped(await codec.base(base.codes, base.counts, latent.width));
    this.decoded = this.manner.grey ? inGrey(drawn) : drawn;
    progress(0.6);
    const rows = blockRows(latent.width);
    const out: CodedBlock[] = [];
    for (let first = 0; first < latent.height; first += rows) {
      out.push(...(await this.part(base, first, Math.min(first + rows, latent.height))));
      progress(0.6 + (0.4 * (first + rows)) / latent.height);
    }
    return out;
  }

  /** Some rows of patches, in several blocks where one has no room for them. */
  private async part(base: Base, first: number, last: number): Promise<CodedBlock[]> {
    const columns = this.picture.width / PATCH;
    const block = { ...someRows(base, first, last, columns), rows: last - first, columns };
    const detail = await this.detailOf(block, first);
    const whole = { ...block, detail };
    const coded = encodePatches(whole, this.books, this.tables);
    if (coded.payload.length <= MAX_PAYLOAD) return [{ first, units: last - first, ...coded, block: whole }];
    if (last - first === 1) throw new Error("a row of patches that is larger than a block");
    const middle = (first + last) >> 1;
    return [...(await this.part(base, first, middle)), ...(await this.part(base, middle, last))];
  }

  private async detailOf(block: PatchBlock, first: number): Promise<Uint8Array> {
    const { rows, columns, counts } = block;
    const width = columns * PATCH;
    const piece = (x: Grid) => cropped(x, first * PATCH, 0, rows * PATCH, width);
    const missing = grid(rows * PATCH, width, COLORS);
    const [original, decoded] = [piece(this.picture).values, piece(this.decoded!).values];
    for (let i = 0; i < missing.values.length; i++) missing.values[i] = 255 * (original[i] - decoded[i]);
    const from = 4 * first * columns * COEFFICIENTS;
    const price = this.dearer
      .subarray(from, from + missing.values.length)
      .map((dear) => BIT_PRICES[Number(this.detail.dependent)] * dear);
    const wish = { steps: this.steps, price, grey: this.manner.grey, leftOut: undefined };
    const patches: Patches = { rows, columns, counts, latents: this.codec.stack.wholeSums(block.codes, counts) };
    let shapes: Uint8Array | undefined;
    if (this.detail.network.several) {
      const all = SHAPES.map((_, shape) => toCoefficients(missing, new Uint8Array(counts.length).fill(shape)));
      shapes = await this.chooser.shapes(patches, all, wish);
    }
    const tried = await this.chooser.choose(patches, toCoefficients(missing, shapes), shapes, wish);
    await this.foresee(missing, piece(this.decoded!), this.residual(tried, block, shapes));
    const chosen = await this.chooser.choose(patches, toCoefficients(missing, shapes), shapes, wish);
    return this.detail.encode(this.steps, shapes, patches, chosen);
  }

  /** What chosen coefficients look like. */
  private residual(chosen: Chosen, block: PatchBlock, shapes: Uint8Array | undefined): Grid {
    const levels = new Int16Array(4 * block.counts.length * COEFFICIENTS);
    chosen.forEach((pass, number) => {
      spread(pass.levels, this.detail.network.passes[number], levels);
    });
    return residualOf({ steps: this.steps, levels, parts: this.detail.parts, shapes }, block);
  }

  /** Takes off what is missing what the decoder's filter will add by itself. */
  private async foresee(missing: Grid, base: Grid, residual: Grid): Promise<void> {
    const smooth = await this.codec.network.smoothed(base, residual, this.steps);
    for (let i = 0; i < missing.values.length; i++) {
      missing.values[i] -= 255 * (smooth.values[i] - base.values[i] - residual.values[i]);
    }
  }
}

/** Rows of a base. */
function someRows(base: Base, first: number, last: number, columns: number) {
  const sum = (from: number, to: number) => base.counts.subarray(from, to).reduce((all, count) => all + count, 0);
  const counts = base.counts.slice(first * columns, last * columns);
  const at = sum(0, first * columns);
  const codes = base.codes.slice(at, at + counts.reduce((all, count) => all + count, 0));
  return { modes: new Uint8Array(counts.length), counts, codes };
}

/** How much a bit of each coefficient costs beside the usual one; where blocks may be longer, the same in a patch. */
function dearness(picture: Grid, longer: boolean): Float32Array {
  const weights = errorWeights(picture);
  let sum = 0;
  for (const weight of weights) sum += weight;
  const usual = sum / weights.length;
  const dear = weights.map((weight) =>
    Math.max(1 / MOST_DEAR, Math.min(MOST_DEAR, Math.exp(-WEIGHTING * (weight - usual)))),
  );
  if (!longer) return dear;
  const columns = picture.width / PATCH;
  for (let patch = 0; patch < dear.length / (4 * COEFFICIENTS); patch++) {
    const at = (4 * Math.floor(patch / columns) * columns + 2 * (patch % columns)) * COEFFICIENTS;
    const blocks = [0, COEFFICIENTS, 2 * columns * COEFFICIENTS, (2 * columns + 1) * COEFFICIENTS];
    for (let k = 0; k < COEFFICIENTS; k++) {
      const mean = blocks.reduce((all, block) => all + dear[at + block + k], 0) / 4;
      for (const block of blocks) dear[at + block + k] = mean;
    }
  }
  return dear;
}
