import { ByteReader, ByteWriter } from "./bytes";
import { crc32 } from "./crc32";
import { check, JosieError } from "./errors";
import { type Header, readHeader, type StreamInfo } from "./header";

const BLOCK = 0x42;
const END = 0x45;
const MAX_UNITS = 1024;
const MAX_PAYLOAD = 2 ** 19;
const MAX_PATCHES = 8192;
const MAX_ALPHA = 2 ** 21;
/** Payload codings that each kind of stream may have. */
const CODINGS: Record<StreamInfo["kind"], number[]> = {
  audio: [0, 2, 9, 10],
  vision: [1, 3, 4, 5, 6, 7, 8, 11, 12, 13],
  stereo: [0],
  alpha: [0],
};

/** Units `first` to `first + units` of a stream, still coded. */
export interface Block {
  stream: number;
  coding: number;
  first: number;
  units: number;
  payload: Uint8Array;
}

/** A whole file: what it says of itself, its blocks, and what is wrong with it. */
export interface JosieFile {
  header: Header;
  blocks: Block[];
  problems: string[];
}

/**
 * Reads a file as far as it is whole.
 *
 * Behind damage it goes on with the next block whose checksum is right; what was left out is in `problems`.
 * Throws `JosieError` if it is no such file or its header is damaged.
 */
export function readJosie(data: Uint8Array): JosieFile {
  const header = readHeader(data);
  const file: JosieFile = { header, blocks: [], problems: [] };
  const runs: Run[] = [];
  let at = header.size;
  let damaged = false;
  while (at < data.length) {
    try {
      if (data[at] === END) {
        const end = readEnd(data, at);
        if (!damaged) check(sameRuns(end.runs, runs), "its end record lists other blocks than it has");
        check(end.at === data.length, "there is something behind its end");
        return file;
      }
      const found = readBlock(data, at, header.streams);
      file.blocks.push(found.block);
      note(runs, found.block, found.end - at);
      at = found.end;
    } catch (error) {
      if (!(error instanceof JosieError)) throw error;
      if (!damaged || data[at] === BLOCK) file.problems.push(`At byte ${at}: ${error.message}.`);
      damaged = true;
      at++;
      while (at < data.length && data[at] !== BLOCK && data[at] !== END) at++;
      // A byte that only looks like the beginning of a block is no news.
      if (file.problems.length > 8) file.problems.length = 8;
    }
  }
  file.problems.push("Its end is missing.");
  return file;
}

function readBlock(data: Uint8Array, at: number, streams: StreamInfo[]): { block: Block; end: number } {
  const reader = new ByteReader(data, at);
  check(reader.u8() === BLOCK, "no block begins here");
  const which = reader.u8();
  const [stream, coding] = [which >> 4, which & 15];
  const info = streams[stream];
  check(info !== undefined, `a block of stream ${stream}, of ${streams.length}`);
  check(CODINGS[info.kind].includes(coding), `a block of coding ${coding} in a stream of ${info.kind}`);
  const first = reader.varint(2 ** 48);
  const units = reader.varint(MAX_UNITS);
  check(units >= 1 && tooMany(info, units) === false, `a block of ${units} units`);
  const size = reader.varint(MAX_PAYLOAD);
  const payload = reader.bytes(size);
  const end = reader.at;
  check(reader.u32() === crc32(data.subarray(at, end)), "the checksum of a block is wrong");
  return { block: { stream, coding, first, units, payload }, end: reader.at };
}

function tooMany(info: StreamInfo, units: number): boolean {
  const shape = info.vision;
  if (!shape) return false;
  if (info.kind === "alpha") return units * shape.width > MAX_ALPHA;
  return units * Math.ceil(shape.width / shape.patch) > MAX_PATCHES;
}

/** Blocks in a row that are alike. */
interface Run {
  count: number;
  stream: number;
  units: number;
  size: number;
}

function note(runs: Run[], block: Block, size: number): void {
  const last = runs.at(-1);
  if (last && last.stream === block.stream && last.units === block.units && last.size === size) last.count++;
  else runs.push({ count: 1, stream: block.stream, units: block.units, size });
}

function sameRuns(one: Run[], other: Run[]): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function readEnd(data: Uint8Array, at: number): { runs: Run[]; at: number } {
  const reader = new ByteReader(data, at + 1);
  const runs: Run[] = [];
  for (let left = reader.varint(2 ** 32); left; left--) {
    const count = reader.varint(2 ** 48);
    const stream = reader.u8();
    runs.push({ count, stream, units: reader.varint(MAX_UNITS), size: reader.varint(2 ** 20) });
  }
  const end = reader.at;
  check(reader.u32() === crc32(data.subarray(at, end)), "the checksum of its end record is wrong");
  check(reader.u32() === end + 12 - at, "the size of its end record is wrong");
  check(new TextDecoder().decode(reader.bytes(4)) === "JEND", "its last bytes are others");
  return { runs, at: reader.at };
}

/** Bytes of a file from its header and its blocks, in their order. */
export function writeJosie(header: Uint8Array, blocks: Block[]): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter();
  out.bytes(header);
  const runs: Run[] = [];
  for (const block of blocks) {
    const part = new ByteWriter();
    part.u8(BLOCK);
    part.u8((block.stream << 4) | block.coding);
    part.varint(block.first);
    part.varint(block.units);
    part.varint(block.payload.length);
    part.bytes(block.payload);
    part.u32(crc32(part.done()));
    out.bytes(part.done());
    note(runs, block, part.length);
  }
  const end = new ByteWriter();
  end.u8(END);
  end.varint(runs.length);
  for (const run of runs) {
    end.varint(run.count);
    end.u8(run.stream);
    end.varint(run.units);
    end.varint(run.size);
  }
  end.u32(crc32(end.done()));
  end.u32(end.length + 8);
  end.bytes(new TextEncoder().encode("JEND"));
  out.bytes(end.done());
  return out.done();
}

/** How many units a stream of known length has. */
export function expectedUnits(info: StreamInfo): number | undefined {
  if (info.length === undefined) return undefined;
  if (info.audio) return Math.ceil(info.length / info.audio.frameSize);
  const shape = info.vision!;
  if (info.kind === "alpha") return shape.height * info.length;
  const groups = info.length ? 1 + Math.ceil((info.length - 1) / shape.group) : 0;
  return groups * Math.ceil(shape.height / shape.patch);
}

/** The blocks of a stream that follow each other; what does not is noted in `problems`. */
export function blocksOf(file: JosieFile, stream: number): Block[] {
  const info = file.header.streams[stream]!;
  const expected = expectedUnits(info);
  const unit = info.audio ? "Frames" : "Rows";
  const found: Block[] = [];
  let reached = 0;
  for (const block of file.blocks) {
    if (block.stream !== stream) continue;
    if (block.first !== reached) file.problems.push(`${unit} ${reached} to ${block.first - 1} are missing.`);
    if (block.first < reached) continue;
    found.push(block);
    reached = block.first + block.units;
  }
  if (expected !== undefined && reached !== expected) {
    file.problems.push(`Its header promises ${expected} ${unit.toLowerCase()}, its blocks end at ${reached}.`);
  }
  return found;
}
