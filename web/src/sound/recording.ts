import { decodeAudio, encodeAudio, type Mark, needsTables } from "../josie/audio_payload";
import { type Block, blocksOf, type JosieFile, readJosie, writeJosie } from "../josie/blocks";
import type { EntropyTables } from "../josie/entropy_tables";
import { JosieError } from "../josie/errors";
import { type StreamInfo, writeHeader } from "../josie/header";
import { LayersDecoder } from "../layers/layers";
import { BaseCodec, type Progress } from "../model/codec";
import type { ModelFiles } from "../model/model_files";
import { joined } from "../model/spectra";
import { amplified, usualGain } from "./loudness";
import { toStereo } from "./stereo";
import type { Sound } from "./wav";

const BLOCK_FRAMES = 100;

/** Codes of frames that follow each other. */
interface Stretch {
  first: number;
  frames: number;
  codes: Uint16Array;
  /** What the encoder had counted before some of them, by their numbers from `first` on. */
  marks: Map<number, Mark>;
}

/** Finds the model of a fingerprint. */
export type Finder = (wanted: { fingerprint: string; model: string }) => Promise<ModelFiles>;

/** Sound as codes: of a file that was opened, or made here. */
export class Recording {
  private constructor(
    readonly info: StreamInfo,
    readonly model: ModelFiles,
    private readonly stretches: Stretch[],
    private readonly angles: Uint16Array | undefined,
    readonly problems: string[],
  ) {}

  /** Opens a file; throws `JosieError` if there is no sound in it that can be played. */
  static async open(data: Uint8Array, find: Finder): Promise<Recording> {
    const file = readJosie(data);
    const { streams } = file.header;
    const index = streams.findIndex((stream) => stream.kind === "audio");
    if (index < 0) {
      throw new JosieError(
        "It holds a picture or a video without sound. This page plays sound; josiecodec decode FILE shows it.",
      );
    }
    const info = streams[index]!;
    const blocks = blocksOf(file, index);
    const model = await find(info);
    const tables = blocks.some((block) => needsTables(block.coding)) ? await model.tables() : undefined;
    const stretches = joinedBlocks(blocks, info, tables);
    if (!stretches.length && info.length !== 0)
      throw new JosieError("No block of it is whole: there is nothing to play.");
    const image = streams[index + 1]?.kind === "stereo" ? anglesOf(file, index + 1) : undefined;
    if (streams.some((stream) => stream.kind === "vision")) {
      file.problems.push("Its pictures are not shown here; josiecodec decode FILE shows them.");
    }
    return new Recording(info, model, stretches, image, file.problems);
  }

  /** Encodes samples at the model's rate; much quieter or louder ones than usual at the usual level. */
  static async encode(
    samples: Float32Array,
    original: { rate: number; channels: number },
    model: ModelFiles,
    progress: Progress = () => {},
    levels?: number,
  ): Promise<Recording> {
    const count = levels ?? model.defaultLevels;
    const gain = usualGain(samples, model.config.sample_rate);
    const codes = await (await BaseCodec.open(model)).encode(amplified(samples, gain), count, progress);
    const audio = {
      sampleRate: model.config.sample_rate,
      frameSize: model.frameSize,
      originalRate: original.rate,
      originalChannels: Math.min(original.channels, 65535),
      gain,
    };
    const info: StreamInfo = {
      kind: "audio",
      levels: count,
      codebookSize: model.config.quantizer.codebook_size,
      fingerprint: model.fingerprint,
      model: model.name,
      length: samples.length,
      audio,
    };
    const stretches = codes.length ? [{ first: 0, frames: codes.length / count, codes, marks: new Map() }] : [];
    return new Recording(info, model, stretches, undefined, []);
  }

  get levels(): number {
    return this.info.levels;
  }

  /** Levels that are decoded here. */
  get playable(): number {
    const { waveform } = this.model.config;
    const layers = waveform && waveform.codebooks === "random";
    return layers ? this.levels : Math.min(this.levels, this.model.baseLevels);
  }

  get stereo(): boolean {
    return this.angles !== undefined;
  }

  get frames(): number {
    const last = this.stretches.at(-1);
    return last ? last.first + last.frames : 0;
  }

  /** Samples, as far as they are there. */
  get length(): number {
    const there = this.frames * this.info.audio!.frameSize;
    return Math.min(this.info.length ?? there, there);
  }

  /** Codes of all frames [frames, levels], if none are missing. */
  get codes(): Uint16Array {
    return this.stretches[0]?.codes ?? new Uint16Array(0);
  }

  /** The samples of the first levels. Frames that are missing are silent. */
  async decode(levels: number, progress: Progress = () => {}): Promise<Sound> {
    const { sampleRate: rate, frameSize, gain } = this.info.audio!;
    const codec = await BaseCodec.open(this.model);
    const mono = new Float32Array(this.frames * frameSize);
    for (const stretch of this.stretches) {
      const samples = await this.decodeStretch(codec, stretch, levels, (done) =>
        progress((stretch.first + done) / this.frames),
      );
      mono.set(samples.subarray(0, mono.length - stretch.first * frameSize), stretch.first * frameSize);
    }
    const samples = amplified(mono.slice(0, this.length), -gain);
    const channels = this.angles ? toStereo(samples, this.angles, frameSize, rate) : [samples];
    return { rate, channels };
  }

  private async decodeStretch(
    codec: BaseCodec,
    stretch: Stretch,
    levels: number,
    progress: (frames: number) => void,
  ): Promise<Float32Array> {
    const base = Math.min(levels, this.model.baseLevels);
    const more = Math.min(levels, this.playable) - base;
    const decoder = await codec.decoder();
    // Levels of the waveform are relative to a base of the right phase, which is not known behind a gap.
    const layers = more > 0 && stretch.first === 0 ? await LayersDecoder.open(this.model) : undefined;
    const parts: Float32Array[] = [];
    for (const [first, count] of pieces(stretch)) {
      const mark = stretch.marks.get(first);
      // Machines round pitches differently, so that phases drift apart; these levels need that of the encoder.
      if (layers && mark?.levels === this.model.baseLevels) decoder.meet(mark.phase);
      const codes = stretch.codes.subarray(first * this.levels, (first + count) * this.levels);
      const samples = await decoder.decode(columns(codes, this.levels, 0, base), base);
      const rest = columns(codes, this.levels, base, base + more);
      parts.push(layers ? await layers.decode(rest, more, count, samples) : samples);
      progress(first + count);
    }
    if (layers) parts.push(await layers.finish());
    return joined(...parts);
  }

  /** The file of the first levels; of a recording without gaps. */
  async toFile(levels: number): Promise<Uint8Array<ArrayBuffer>> {
    const tables = await this.model.tables();
    const codes = columns(this.codes, this.levels, 0, levels);
    const blocks: Block[] = [];
    for (let first = 0; first < this.frames; first += BLOCK_FRAMES) {
      const frames = Math.min(BLOCK_FRAMES, this.frames - first);
      const values = codes.subarray(first * levels, (first + frames) * levels);
      blocks.push({
        stream: 0,
        first,
        units: frames,
        ...encodeAudio({ frames, levels, values }, this.info.codebookSize, tables),
      });
    }
    return writeJosie(writeHeader({ ...this.info, levels }), blocks);
  }
}

/** Where frames of a stretch are decoded together, [first, count]: some at a time, none across a mark. */
function* pieces(stretch: Stretch): Generator<[number, number]> {
  const marked = [...stretch.marks.keys(), stretch.frames].sort((a, b) => a - b);
  let first = 0;
  for (const end of marked) {
    for (; first < end; first += Math.min(BLOCK_FRAMES, end - first)) {
      yield [first, Math.min(BLOCK_FRAMES, end - first)];
    }
  }
}

/** Codes of blocks, joined where they follow each other. */
function joinedBlocks(blocks: Block[], info: StreamInfo, tables: EntropyTables | undefined): Stretch[] {
  const out: Stretch[] = [];
  for (const { coding, payload, units, first } of blocks) {
    const { values, mark } = decodeAudio(coding, payload, units, info.levels, info.codebookSize, tables);
    const last = out.at(-1);
    if (!last || last.first + last.frames !== first) {
      out.push({ first, frames: units, codes: values, marks: new Map(mark ? [[0, mark]] : []) });
      continue;
    }
    if (mark) last.marks.set(last.frames, mark);
    const codes = new Uint16Array(last.codes.length + values.length);
    codes.set(last.codes);
    codes.set(values, last.codes.length);
    out[out.length - 1] = { ...last, frames: last.frames + units, codes };
  }
  return out;
}

/** The angles of a stereo image [frames, 7]; those of frames that are missing are in the middle. */
function anglesOf(file: JosieFile, stream: number): Uint16Array | undefined {
  const info = file.header.streams[stream]!;
  const blocks = blocksOf(file, stream);
  const last = blocks.at(-1);
  if (!last) return undefined;
  const angles = new Uint16Array((last.first + last.units) * info.levels).fill(3);
  for (const { coding, payload, units, first } of blocks) {
    const { values } = decodeAudio(coding, payload, units, info.levels, info.codebookSize, undefined);
    angles.set(values, first * info.levels);
  }
  return angles;
}

/** Some columns of codes [frames, levels]. */
function columns(codes: Uint16Array, levels: number, first: number, last: number): Uint16Array {
  const count = last - first;
  const frames = codes.length / levels;
  const out = new Uint16Array(frames * count);
  for (let t = 0; t < frames; t++) out.set(codes.subarray(t * levels + first, t * levels + last), t * count);
  return out;
}
