import { decodeAlpha, encodeAlpha } from "../josie/alpha_payload";
import { type Block, blocksOf, type JosieFile, writeJosie } from "../josie/blocks";
import { JosieError } from "../josie/errors";
import { type StreamInfo, writeHeader } from "../josie/header";
import { decodePatches, needsPatchTables, type PatchBlock } from "../josie/patch_payload";
import type { Wanted } from "../model/model_files";
import { type CodedBlock, MAX_PAYLOAD, nothing } from "./coded_block";
import { PictureEncoder } from "./encoder";
import { encodeFewColors } from "./few_colors";
import { type Grid, grid } from "./grid";
import { smoothColors } from "./hidden_colors";
import type { Image } from "./image";
import type { PictureFiles } from "./model";
import { trimmed } from "./network";
import { type Progress, StillCodec } from "./still";
import { COLORS, PATCH } from "./transform";

const MOTION = [6, 11, 12, 13];
const OPAQUE = 255;
const [ALPHA_PIXELS, ALPHA_ROWS] = [2 ** 20, 1024];
/** Bits per pixel up to which few colours are taken as they are, whatever the quality. */
const EXACT_BITS = 0.5;

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
    /** The bytes of what was encoded here. */
    readonly file?: Uint8Array<ArrayBuffer>,
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

  /** Encodes an image; `step` is the index of the step of its detail, 0 the finest. */
  static async encode(
    image: Image,
    step: number,
    files: PictureFiles,
    progress: Progress = () => {},
  ): Promise<Picture> {
    const { width, height } = image;
    const { pixels, alpha, grey } = fromImage(image);
    const codec = await StillCodec.open(files);
    const books = { levels: codec.stack.levels, codebookSize: codec.stack.size };
    const exact = encodeFewColors(image, books);
    const bits = exact ? (8 * bytesOf(exact)) / (width * height) : Number.POSITIVE_INFINITY;
    let coded = exact ?? [];
    if (bits > EXACT_BITS) {
      const smooth = padded(alpha ? smoothColors(pixels, alpha) : pixels, PATCH);
      const other = await PictureEncoder.encode(codec, await files.tables(), smooth, { step, grey }, progress);
      if (!exact || bytesOf(other) < bytesOf(exact)) coded = other;
    }
    const vision = { width, height, rate: [0, 1] as [number, number], patch: PATCH, group: files.config.group, grey };
    const info: StreamInfo = {
      kind: "vision",
      ...books,
      fingerprint: files.fingerprint,
      model: files.name,
      length: 1,
      vision,
    };
    const blocks = coded.map(({ block }) => block);
    return new Picture(info, files, blocks, alpha, [], toFile(info, coded, alpha));
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

function bytesOf(blocks: CodedBlock[]): number {
  return blocks.reduce((sum, { payload }) => sum + payload.length, 0);
}

/** The file of a picture and its alpha. */
function toFile(info: StreamInfo, coded: CodedBlock[], alpha: Uint8Array | undefined): Uint8Array<ArrayBuffer> {
  const streams = [info];
  const blocks: Block[] = [];
  const { width, height } = info.vision!;
  if (alpha) {
    streams.push({ ...info, kind: "alpha", levels: 1, codebookSize: 256, fingerprint: "0".repeat(16), model: "alpha" });
    const rows = Math.min(ALPHA_ROWS, Math.max(1, Math.floor(ALPHA_PIXELS / width)));
    for (let first = 0; first < height; first += rows) {
      blocks.push(...alphaBlocks(alpha, width, first, Math.min(first + rows, height)));
    }
  }
  for (const { first, units, coding, payload } of coded) blocks.push({ stream: 0, first, units, coding, payload });
  return writeJosie(writeHeader(...streams), blocks);
}

/** Rows of alpha, in halves where a payload would be too long. */
function alphaBlocks(alpha: Uint8Array, width: number, first: number, last: number): Block[] {
  const units = last - first;
  const payload = encodeAlpha(alpha.subarray(first * width, last * width), units, width);
  if (payload.length <= MAX_PAYLOAD || units === 1) return [{ stream: 1, coding: 0, first, units, payload }];
  const middle = first + (units >> 1);
  return [...alphaBlocks(alpha, width, first, middle), ...alphaBlocks(alpha, width, middle, last)];
}

/** Edges repeated to the right and below until both sides are whole patches. */
function padded(x: Grid, patch: number): Grid {
  const [height, width] = [x.height, x.width].map((size) => Math.ceil(size / patch) * patch);
  const out = grid(height, width, x.channels);
  for (let y = 0; y < height; y++) {
    for (let z = 0; z < width; z++) {
      const from = (Math.min(y, x.height - 1) * x.width + Math.min(z, x.width - 1)) * x.channels;
      for (let c = 0; c < x.channels; c++) out.values[(y * width + z) * x.channels + c] = x.values[from + c];
    }
  }
  return out;
}

/** Colours in 0 to 1, alpha if it is not opaque everywhere, and whether what is seen is grey. */
function fromImage({ width, height, pixels }: Image) {
  const found = grid(height, width, COLORS);
  const alpha = new Uint8Array(width * height);
  let grey = true;
  for (let i = 0; i < alpha.length; i++) {
    for (let c = 0; c < COLORS; c++) found.values[COLORS * i + c] = pixels[4 * i + c] / 255;
    alpha[i] = pixels[4 * i + 3];
    grey &&= !alpha[i] || (pixels[4 * i] === pixels[4 * i + 1] && pixels[4 * i] === pixels[4 * i + 2]);
  }
  return { pixels: found, alpha: alpha.every((value) => value === OPAQUE) ? undefined : alpha, grey };
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
