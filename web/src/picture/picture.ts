import { decodeAlpha } from "../josie/alpha_payload";
import { type Block, blocksOf, type JosieFile } from "../josie/blocks";
import { JosieError } from "../josie/errors";
import type { StreamInfo } from "../josie/header";
import { decodePatches, needsPatchTables, type PatchBlock } from "../josie/patch_payload";
import type { Wanted } from "../model/model_files";
import type { Grid } from "./grid";
import type { PictureFiles } from "./model";
import { trimmed } from "./network";
import { type Progress, StillCodec } from "./still";

const MOTION = [6, 11];
const OPAQUE = 255;

/** A picture as a canvas takes it: red, green, blue and alpha of each pixel. */
export interface Image {
  width: number;
  height: number;
  pixels: Uint8ClampedArray<ArrayBuffer>;
}

/** Finds the model of a fingerprint. */
export type PictureFinder = (wanted: Wanted) => Promise<PictureFiles>;

/** A still picture of a file. */
export class Picture {
  private constructor(
    readonly info: StreamInfo,
    private readonly files: PictureFiles,
    readonly blocks: PatchBlock[],
    private readonly alpha: Uint8Array | undefined,
    readonly problems: string[],
  ) {}

  /** Opens a file; throws `JosieError` if there is no still picture in it that can be shown. */
  static async open(file: JosieFile, find: PictureFinder): Promise<Picture> {
    const { streams } = file.header;
    const index = streams.findIndex((stream) => stream.kind === "vision");
    if (index < 0) throw new JosieError("It holds no picture.");
    const info = streams[index];
    const blocks = blocksOf(file, index);
    if (info.vision!.rate[0] || blocks.some(({ coding }) => MOTION.includes(coding))) {
      throw new JosieError("It holds a video. This page shows still pictures; josiecodec decode FILE plays it.");
    }
    if (!blocks.length) throw new JosieError("No block of it is whole: there is nothing to show.");
    const files = await find(info);
    const tables = blocks.some(({ coding }) => needsPatchTables(coding)) ? await files.tables() : undefined;
    const { width, height, patch } = info.vision!;
    const [rows, columns] = [Math.ceil(height / patch), Math.ceil(width / patch)];
    const found: PatchBlock[] = [];
    let reached = 0;
    for (const { coding, payload, units, first } of blocks) {
      if (first > reached) found.push(nothing(first - reached, columns));
      if (first + units > rows) throw new JosieError("It has more rows than its picture.");
      found.push(decodePatches(coding, payload, units, columns, info, tables));
      reached = first + units;
    }
    if (reached < rows) found.push(nothing(rows - reached, columns));
    const alpha = streams[index + 1]?.kind === "alpha" ? alphaOf(blocksOf(file, index + 1), width, height) : undefined;
    return new Picture(info, files, found, alpha, file.problems);
  }

  get width(): number {
    return this.info.vision!.width;
  }

  get height(): number {
    return this.info.vision!.height;
  }

  get transparent(): boolean {
    return this.alpha !== undefined;
  }

  /** What it looks like. */
  async draw(progress: Progress = () => {}): Promise<Image> {
    const codec = await StillCodec.open(this.files);
    const { width, height, patch, grey } = this.info.vision!;
    const whole = await codec.draw(this.blocks, Math.ceil(width / patch), grey, progress);
    return toImage(trimmed(whole, height, width), this.alpha);
  }
}

/** Rows of patches that are missing. */
function nothing(rows: number, columns: number): PatchBlock {
  const empty = () => new Uint8Array(rows * columns);
  return { rows, columns, modes: empty(), counts: empty(), codes: new Uint16Array(0) };
}

/** How opaque pixels are; those of rows that are missing are opaque. */
function alphaOf(blocks: Block[], width: number, height: number): Uint8Array {
  const out = new Uint8Array(width * height).fill(OPAQUE);
  for (const { payload, units, first } of blocks) {
    if (first + units > height) throw new JosieError("It has more rows of alpha than its picture.");
    out.set(decodeAlpha(payload, units, width), first * width);
  }
  return out;
}

export function toImage(x: Grid, alpha: Uint8Array | undefined): Image {
  const pixels = new Uint8ClampedArray(4 * x.height * x.width);
  for (let i = 0; i < x.height * x.width; i++) {
    for (let c = 0; c < 3; c++) pixels[4 * i + c] = x.values[3 * i + c] * 255;
    pixels[4 * i + 3] = alpha ? alpha[i] : OPAQUE;
  }
  return { width: x.width, height: x.height, pixels };
}
