import { ByteReader, ByteWriter } from "./bytes";
import { crc32 } from "./crc32";
import { check, JosieError } from "./errors";

const MAGIC = [0x89, 0x4a, 0x4f, 0x53, 0x49, 0x45];
const MAX_HEADER = 4096;
const UNKNOWN = 2 ** 48 - 1;
const MAX_LENGTH = 2 ** 47;
const MAX_GAIN = 63;

export type Kind = "audio" | "vision" | "stereo" | "alpha";
const KINDS: Kind[] = ["audio", "vision", "stereo", "alpha"];

/** What a header says of one stream. */
export interface StreamInfo {
  kind: Kind;
  levels: number;
  codebookSize: number;
  /** First eight bytes, hex. */
  fingerprint: string;
  model: string;
  /** Samples or pictures; undefined if it was never known. */
  length: number | undefined;
  audio?: AudioShape;
  vision?: VisionShape;
}

/** Of audio and stereo images. */
export interface AudioShape {
  sampleRate: number;
  frameSize: number;
  originalRate: number;
  originalChannels: number;
  /** Decibels by which the recording was amplified before it was coded; a decoder undoes it. */
  gain: number;
  /** Whether the file says that a machine spoke or made this sound. */
  synthetic?: boolean;
}

/** Of pictures. Alpha has that of its picture. */
export interface VisionShape {
  width: number;
  height: number;
  /** Pictures per second; 0 and 1 for an image. */
  rate: [number, number];
  patch: number;
  group: number;
  grey: boolean;
}

/** Header of a file: its streams, and where the first block begins. */
export interface Header {
  version: number;
  streams: StreamInfo[];
  size: number;
}

/** Reads the header of a file; throws `JosieError`. */
export function readHeader(data: Uint8Array): Header {
  check(
    data.length >= MAGIC.length && MAGIC.every((byte, i) => data[i] === byte),
    "This is no .josie file: it begins with other bytes.",
  );
  try {
    // Version 1 has two more bytes of magic, the first of which is no version.
    return data[6] === 0x0d && data[7] === 0x0a ? readFirst(data) : readLater(data);
  } catch (error) {
    if (error instanceof JosieError) throw new JosieError(`The header is damaged: ${error.message}.`);
    throw error;
  }
}

function readLater(data: Uint8Array): Header {
  const reader = new ByteReader(data, MAGIC.length);
  const version = reader.u8();
  check(version >= 2 && version <= 6, `version ${version} is not known here, only 1 to 6`);
  const size = reader.varint(MAX_HEADER);
  const body = new ByteReader(data, reader.at, reader.at + size);
  check(size <= reader.left && reader.at + size + 4 <= MAX_HEADER, "its size");
  checkSum(data, body.end);
  const streams: StreamInfo[] = [];
  while (body.left) streams.push(readStream(body, version, streams.at(-1)));
  return finished(version, streams, body.end + 4);
}

function finished(version: number, streams: StreamInfo[], size: number): Header {
  check(streams.length >= 1 && streams.length <= 8, `${streams.length} streams`);
  return { version, streams, size };
}

function checkSum(data: Uint8Array, end: number): void {
  check(new ByteReader(data, end).u32() === crc32(data.subarray(0, end)), "its checksum is wrong");
}

function readStream(body: ByteReader, version: number, before: StreamInfo | undefined): StreamInfo {
  const first = body.u8();
  const kind = KINDS[first >> 6]!;
  check(kind !== "stereo" || version >= 3, "a stereo image in a file of version 2");
  check(kind !== "alpha" || version >= 4, "alpha in a file of an earlier version");
  const levels = (first & 63) + 1;
  const codebookSize = within(body.varint(2 ** 16), 2, 2 ** 16, "codebook size");
  const fingerprint = hex(body.bytes(8));
  const model = readName(body);
  const length = readLength(body.u48(), UNKNOWN);
  const stream: StreamInfo = { kind, levels, codebookSize, fingerprint, model, length };
  if (kind === "audio" || kind === "stereo") stream.audio = readAudio(() => body.varint(2 ** 32), version);
  if (kind === "vision") stream.vision = readVision(() => body.varint(2 ** 32), version >= 4);
  if (kind === "alpha" && before?.vision) stream.vision = before.vision;
  checkTogether(stream, before);
  return stream;
}

function readName(body: ByteReader): string {
  const bytes = body.bytes(within(body.u8(), 1, 64, "length of the model's name"));
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new JosieError("the model's name is no text");
  }
}

function readLength(value: number, unknown: number): number | undefined {
  return value === unknown ? undefined : within(value, 0, MAX_LENGTH, "length");
}

function readAudio(next: () => number, version: number): AudioShape {
  const shape: AudioShape = {
    sampleRate: within(next(), 1, 10_000_000, "sample rate"),
    frameSize: within(next(), 1, 2 ** 24, "samples per frame"),
    originalRate: within(next(), 1, 10_000_000, "sample rate of the original"),
    originalChannels: within(next(), 1, 65535, "channels"),
    gain: version >= 5 ? within(next() - MAX_GAIN - 1, -MAX_GAIN, MAX_GAIN, "gain") : 0,
  };
  if (version >= 6 && within(next(), 0, 1, "origin of the sound")) shape.synthetic = true;
  return shape;
}

function readVision(next: () => number, withForm: boolean): VisionShape {
  const width = within(next(), 1, 2 ** 20, "width");
  const height = within(next(), 1, 2 ** 20, "height");
  const rate: [number, number] = [within(next(), 0, 2 ** 31 - 1, "rate"), within(next(), 1, 2 ** 31 - 1, "rate")];
  const patch = within(next(), 1, 255, "side of a patch");
  const group = within(next(), 1, 255, "pictures in a group");
  check(rate[0] <= 1000 * rate[1], "pictures per second");
  check(width * height <= 2 ** 28 && Math.ceil(width / patch) <= 8192, "size of the picture");
  const form = withForm ? within(next(), 0, rate[0] ? 0 : 1, "form of the pictures") : 0;
  return { width, height, rate, patch, group, grey: form === 1 };
}

/** What a stream without a model has in common with the one before it. */
function checkTogether(stream: StreamInfo, before: StreamInfo | undefined): void {
  if (stream.kind === "stereo") {
    const [own, other] = [stream.audio!, before?.audio];
    check(before?.kind === "audio" && other !== undefined, "a stereo image without its sound");
    check(
      stream.length === before.length && own.sampleRate === other.sampleRate && own.frameSize === other.frameSize,
      "a stereo image of another sound",
    );
    check(stream.levels === 7 && stream.codebookSize === 7, "a stereo image of other levels");
    check(own.gain === 0, "a stereo image with a gain");
    check(!own.synthetic, "a stereo image with an origin");
  }
  if (stream.kind === "alpha") {
    check(before?.kind === "vision" && !before.vision!.rate[0], "alpha without its image");
    check(
      stream.length === before.length && stream.levels === 1 && stream.codebookSize === 256,
      "alpha of another size",
    );
  }
}

function readFirst(data: Uint8Array): Header {
  const reader = new ByteReader(data, MAGIC.length + 2);
  const version = reader.u16();
  check(version === 1, `version ${version} with the magic of version 1`);
  const size = reader.u16();
  check(size <= MAX_HEADER && size <= reader.left, "its size");
  const body = new ByteReader(data, reader.at, reader.at + size);
  checkSum(data, body.end);
  const count = body.u8();
  const streams: StreamInfo[] = [];
  while (body.left) streams.push(readFirstStream(body));
  check(streams.length === count, `${streams.length} streams, not ${count}`);
  return finished(version, streams, body.end + 4);
}

function readFirstStream(body: ByteReader): StreamInfo {
  const kind = KINDS[within(body.u8(), 0, 1, "kind of a stream")]!;
  const levels = within(body.u8(), 1, 64, "levels");
  const codebookSize = within(body.u32(), 2, 2 ** 16, "codebook size");
  const fingerprint = hex(body.bytes(32).subarray(0, 8));
  const model = readName(body);
  const length = () => {
    const [low, high] = [body.u32(), body.u32()];
    return readLength(high === 2 ** 32 - 1 && low === 2 ** 32 - 1 ? UNKNOWN : low + high * 2 ** 32, UNKNOWN);
  };
  if (kind === "audio") {
    const [sampleRate, frameSize] = [body.u32(), body.u32()];
    const samples = length();
    const numbers = [sampleRate, frameSize, body.u32(), body.u16()];
    return {
      kind,
      levels,
      codebookSize,
      fingerprint,
      model,
      length: samples,
      audio: readAudio(() => numbers.shift()!, 1),
    };
  }
  const sides = [body.u32(), body.u32()];
  const pictures = length();
  const numbers = [...sides, body.u32(), body.u32(), body.u8(), body.u8()];
  const vision = readVision(() => numbers.shift()!, false);
  return { kind, levels, codebookSize, fingerprint, model, length: pictures, vision };
}

/** Bytes of the header of a file. */
export function writeHeader(...streams: StreamInfo[]): Uint8Array {
  const body = new ByteWriter();
  for (const stream of streams) writeStream(body, stream, streams);
  const out = new ByteWriter();
  out.bytes(Uint8Array.from(MAGIC));
  out.u8(versionOf(streams));
  out.varint(body.length);
  out.bytes(body.done());
  out.u32(crc32(out.done()));
  return out.done();
}

/** The earliest version that has all that there is. */
function versionOf(streams: StreamInfo[]): number {
  if (streams.some((stream) => stream.audio?.synthetic)) return 6;
  if (streams.some((stream) => stream.audio?.gain)) return 5;
  if (streams.some((stream) => stream.kind === "alpha" || stream.vision?.grey)) return 4;
  return streams.some((stream) => stream.kind === "stereo") ? 3 : 2;
}

function writeStream(body: ByteWriter, stream: StreamInfo, all: StreamInfo[]): void {
  body.u8((KINDS.indexOf(stream.kind) << 6) | (stream.levels - 1));
  body.varint(stream.codebookSize);
  for (let i = 0; i < 16; i += 2) body.u8(Number.parseInt(stream.fingerprint.slice(i, i + 2), 16));
  const name = new TextEncoder().encode(stream.model);
  body.u8(name.length);
  body.bytes(name);
  body.u48(stream.length ?? UNKNOWN);
  for (const value of numbersOf(stream, versionOf(all))) body.varint(value);
}

/** What follows the length of a stream. */
function numbersOf({ kind, audio, vision }: StreamInfo, version: number): number[] {
  const gain = audio && version >= 5 ? [MAX_GAIN + 1 + audio.gain] : [];
  const origin = audio && version >= 6 ? [audio.synthetic ? 1 : 0] : [];
  if (audio) return [audio.sampleRate, audio.frameSize, audio.originalRate, audio.originalChannels, ...gain, ...origin];
  if (!vision || kind === "alpha") return [];
  const form = version >= 4 ? [vision.grey ? 1 : 0] : [];
  return [vision.width, vision.height, ...vision.rate, vision.patch, vision.group, ...form];
}

function within(value: number, least: number, most: number, what: string): number {
  check(value >= least && value <= most, `${what}: ${value}`);
  return value;
}

function hex(data: Uint8Array): string {
  return Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
