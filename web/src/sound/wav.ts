import { ByteReader, ByteWriter } from "../josie/bytes";
import { check, JosieError } from "../josie/errors";

/** Sound of some channels, each with as many samples; full scale is 1. */
export interface Sound {
  rate: number;
  channels: Float32Array[];
}

const PCM = 1;
const FLOAT = 3;
const EXTENSIBLE = 0xfffe;

/** Whether bytes are those of a WAV file. */
export function isWav(data: Uint8Array): boolean {
  return tag(data, 0) === "RIFF" && tag(data, 8) === "WAVE";
}

function tag(data: Uint8Array, at: number): string {
  return String.fromCharCode(...data.subarray(at, at + 4));
}

/** The samples of a WAV file of whole or floating-point numbers; undefined of other codings, as of A-law. */
export function readWav(data: Uint8Array): Sound | undefined {
  const reader = new ByteReader(data, 12);
  let format: { kind: number; channels: number; rate: number; bits: number } | undefined;
  while (reader.left >= 8) {
    const name = tag(reader.bytes(4), 0);
    const size = reader.u32();
    if (name === "data") {
      check(format !== undefined, "a WAV file without a format");
      // The sizes of recordings that were broken off, or written to a pipe, are too large.
      return samplesOf(reader.bytes(Math.min(size, reader.left)), format);
    }
    const part = new ByteReader(data, reader.at, reader.at + Math.min(size, reader.left));
    if (name === "fmt ") format = formatOf(part);
    reader.at = Math.min(part.end + (size % 2), data.length);
  }
  throw new JosieError("a WAV file without samples");
}

function formatOf(part: ByteReader) {
  let kind = part.u16();
  const [channels, rate] = [part.u16(), part.u32()];
  part.bytes(6);
  const bits = part.u16();
  if (kind === EXTENSIBLE && part.left >= 10) {
    part.bytes(8);
    kind = part.u16();
  }
  check(channels >= 1 && rate >= 1, "a WAV file without channels");
  return { kind, channels, rate, bits };
}

function samplesOf(
  data: Uint8Array,
  format: { kind: number; channels: number; rate: number; bits: number },
): Sound | undefined {
  const { kind, channels: count, rate, bits } = format;
  const size = bits / 8;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const readers: Record<string, (at: number) => number> = {
    [`${PCM} 8`]: (at) => (view.getUint8(at) - 128) / 128,
    [`${PCM} 16`]: (at) => view.getInt16(at, true) / 32768,
    [`${PCM} 24`]: (at) => (view.getUint16(at, true) + view.getInt8(at + 2) * 65536) / 8388608,
    [`${PCM} 32`]: (at) => view.getInt32(at, true) / 2147483648,
    [`${FLOAT} 32`]: (at) => view.getFloat32(at, true),
    [`${FLOAT} 64`]: (at) => view.getFloat64(at, true),
  };
  const read = readers[`${kind} ${bits}`];
  if (!read) return undefined;
  const length = Math.floor(data.length / size / count);
  const channels = Array.from({ length: count }, (_, c) =>
    Float32Array.from({ length }, (_, n) => read((n * count + c) * size)),
  );
  return { rate, channels };
}

/** A WAV file of 16 bits. */
export function writeWav(sound: Sound): Uint8Array<ArrayBuffer> {
  const { rate, channels } = sound;
  const length = channels[0]?.length ?? 0;
  const size = 2 * channels.length * length;
  const out = new ByteWriter();
  const text = (value: string) => out.bytes(new TextEncoder().encode(value));
  const u16 = (value: number) => {
    out.u8(value & 255);
    out.u8(value >> 8);
  };
  text("RIFF");
  out.u32(36 + size);
  text("WAVEfmt ");
  out.u32(16);
  u16(PCM);
  u16(channels.length);
  out.u32(rate);
  out.u32(rate * 2 * channels.length);
  u16(2 * channels.length);
  u16(16);
  text("data");
  out.u32(size);
  const samples = new Int16Array(channels.length * length);
  channels.forEach((channel, c) => {
    for (let n = 0; n < length; n++) {
      samples[n * channels.length + c] = Math.max(-32768, Math.min(32767, Math.round(channel[n]! * 32768)));
    }
  });
  out.bytes(new Uint8Array(samples.buffer));
  return out.done();
}
