import type { PatchBlock } from "../josie/patch_payload";
import { decodeScreen, type Screen } from "../josie/screen_payload";
import { type Detail, DetailCoder, shrunk, stepSizes } from "./detail";
import { DetailNetwork, type Steps, shiftsOf } from "./detail_network";
import { type Grid, grid } from "./grid";
import type { PictureFiles } from "./model";
import { PictureNetwork } from "./network";
import { Stack } from "./stack";
import { COEFFICIENTS, COLORS, PATCH, toPixels } from "./transform";

/** Is told the share that is done. */
export type Progress = (share: number) => void;

const opened = new WeakMap<PictureFiles, Promise<StillCodec>>();

/** A model of pictures with all that decodes its patches. */
export class StillCodec {
  private constructor(
    readonly network: PictureNetwork,
    readonly stack: Stack,
    readonly detail: DetailCoder | undefined,
  ) {}

  /** That of a model, made once. */
  static open(files: PictureFiles): Promise<StillCodec> {
    let made = opened.get(files);
    if (!made) {
      made = StillCodec.made(files);
      made.catch(() => opened.delete(files));
      opened.set(files, made);
    }
    return made;
  }

  private static async made(files: PictureFiles): Promise<StillCodec> {
    const { detail, latent_dim: dim } = files.config;
    const stack = new Stack(files.books, await files.weights("base"), dim);
    const network = await PictureNetwork.open(files);
    if (!detail) return new StillCodec(network, stack, undefined);
    const numbers = await files.detailNumbers();
    const scales = new DetailNetwork(detail, numbers, await files.product());
    return new StillCodec(network, stack, new DetailCoder(scales, numbers, detail));
  }

  /** The base of a picture: what codes alone look like. */
  async base(codes: Uint16Array, counts: Uint8Array, columns: number): Promise<Grid> {
    const rows = counts.length / columns;
    const latent = grid(rows, columns, this.stack.dim, this.stack.sums(codes, counts));
    return this.network.decode(latent, counts);
  }

  /** The picture of blocks that follow each other, [H, W, 3] of whole patches, in 0 to 1. */
  async draw(blocks: PatchBlock[], columns: number, grey: boolean, progress: Progress = () => {}): Promise<Grid> {
    const rows = blocks.reduce((sum, block) => sum + block.rows, 0);
    const screens = blocks.map((b) => (b.screen ? decodeScreen(b.screen, b.rows, columns, PATCH) : undefined));
    const covered = screens.every((screen) => screen?.patches.every((there) => there === 1));
    let picture = grid(rows * PATCH, columns * PATCH, COLORS);
    if (!covered) picture = await this.base(joined(blocks), countsOf(blocks), columns);
    progress(0.3);
    if (blocks.some((block) => block.detail)) {
      picture = await this.withDetail(clipped(picture), blocks, screens, grey, covered, progress);
    }
    return clipped(grey ? inGrey(picture) : picture);
  }

  private async withDetail(
    picture: Grid,
    blocks: PatchBlock[],
    screens: (Screen | undefined)[],
    grey: boolean,
    covered: boolean,
    progress: Progress,
  ): Promise<Grid> {
    const base = grey ? inGrey(picture) : picture;
    putIn(base, blocks, screens);
    if (covered) return base;
    const residual = grid(base.height, base.width, COLORS);
    const steps: (Steps | undefined)[] = []; // of each block
    let row = 0;
    for (const [i, block] of blocks.entries()) {
      if (block.detail && (block.detail.length || !screens[i])) {
        const detail = await this.detailOf(block, grey, screens[i]?.patches);
        residual.values.set(residualOf(detail, block).values, row * PATCH * base.width * COLORS);
        steps.push(detail.steps);
      } else steps.push(undefined);
      row += block.rows;
      progress(0.3 + (0.4 * row * PATCH) / base.height);
    }
    const out = await this.filtered(base, residual, blocks, steps);
    putIn(out, blocks, screens);
    return out;
  }

  private detailOf(block: PatchBlock, grey: boolean, leftOut: Uint8Array | undefined): Promise<Detail> {
    if (!this.detail) throw new Error("a detail layer where there can be none");
    const latents = this.stack.wholeSums(block.codes, block.counts);
    const { rows, columns, counts } = block;
    return this.detail.decode(block.detail!, { rows, columns, counts, latents }, grey, leftOut);
  }

  /** Smoothed with the steps of each block; blocks without detail stay as they are. */
  private async filtered(
    base: Grid,
    residual: Grid,
    blocks: PatchBlock[],
    steps: (Steps | undefined)[],
  ): Promise<Grid> {
    const out = { ...base, values: base.values.slice() };
    const key = (of: Steps | undefined) => of && `${of.index} ${of.strength}`;
    for (const kind of new Set(steps.map(key))) {
      const own = steps.find((of) => key(of) === kind);
      if (!own) continue;
      const whole = await this.network.smoothed(base, residual, own);
      let at = 0;
      for (const [i, block] of blocks.entries()) {
        const size = block.rows * PATCH * base.width * COLORS;
        if (key(steps[i]) === kind) out.values.set(whole.values.subarray(at, at + size), at);
        at += size;
      }
    }
    return out;
  }
}

/** What the coefficients of a block look like, in 0 to 1. */
export function residualOf(detail: Detail, block: { rows: number; columns: number }): Grid {
  const sizes = stepSizes(detail.steps, shiftsOf(detail.steps)).map((size) => size / 255);
  const values = Float32Array.from(detail.levels, (q, i) =>
    q ? shrunk(q, detail.parts) * sizes[i % COEFFICIENTS] : 0,
  );
  return toPixels(values, block.rows, block.columns, detail.shapes);
}

/** Puts patches of few colours into a picture. */
function putIn(picture: Grid, blocks: PatchBlock[], screens: (Screen | undefined)[]): void {
  let first = 0; // pixels
  blocks.forEach(({ rows }, i) => {
    const screen = screens[i];
    const size = rows * PATCH * picture.width;
    if (screen) {
      const colors = screen.palette.length / COLORS;
      for (let at = 0; at < size; at++) {
        const index = screen.indexes[at];
        if (index === colors) continue;
        for (let c = 0; c < COLORS; c++) {
          picture.values[COLORS * (first + at) + c] = screen.palette[COLORS * index + c] / 255;
        }
      }
    }
    first += size;
  });
}

function joined(blocks: PatchBlock[]): Uint16Array {
  const out = new Uint16Array(blocks.reduce((sum, { codes }) => sum + codes.length, 0));
  let at = 0;
  for (const { codes } of blocks) {
    out.set(codes, at);
    at += codes.length;
  }
  return out;
}

function countsOf(blocks: PatchBlock[]): Uint8Array {
  return Uint8Array.from(blocks.flatMap(({ counts }) => [...counts]));
}

export function clipped(x: Grid): Grid {
  return { ...x, values: x.values.map((value) => Math.max(0, Math.min(1, value))) };
}

/** The mean of the three colours, in all of them. */
export function inGrey(x: Grid): Grid {
  const values = new Float32Array(x.values.length);
  for (let i = 0; i < values.length; i += COLORS) {
    const mean = (x.values[i] + x.values[i + 1] + x.values[i + 2]) / COLORS;
    values.fill(mean, i, i + COLORS);
  }
  return { ...x, values };
}
