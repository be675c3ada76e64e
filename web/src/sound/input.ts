import { check, JosieError } from "../josie/errors";
import { isWav, readWav, type Sound } from "./wav";

/** Longer recordings are for the command line: everything is kept in memory here. */
export const MAX_MINUTES = 30;

/** Reads a file of sound: WAV by itself, so that samples are what they are; others by the browser's decoders. */
export async function readSound(data: Uint8Array<ArrayBuffer>, name: string): Promise<Sound> {
  const sound = (isWav(data) ? readWav(data) : undefined) ?? (await decodeByBrowser(data, name));
  const length = sound.channels[0]?.length ?? 0;
  check(length > 0, `${name} holds no sound.`);
  check(
    length / sound.rate <= 60 * MAX_MINUTES,
    `${name} is longer than ${MAX_MINUTES} minutes: use josiecodec encode.`,
  );
  return sound;
}

async function decodeByBrowser(data: Uint8Array<ArrayBuffer>, name: string): Promise<Sound> {
  const rate = rateOf(data) ?? 48000;
  // A context of the file's own rate, so that the browser does not resample.
  const context = new OfflineAudioContext(1, 1, Math.max(8000, Math.min(96000, rate)));
  try {
    const buffer = await context.decodeAudioData(data.slice().buffer);
    const channels = Array.from({ length: buffer.numberOfChannels }, (_, c) => buffer.getChannelData(c).slice());
    return { rate: buffer.sampleRate, channels };
  } catch {
    throw new JosieError(`${name} is neither a .josie file nor sound that this browser can read.`);
  }
}

const MP3_RATES = [[11025, 12000, 8000], [], [22050, 24000, 16000], [44100, 48000, 32000]];

/** The sample rate that the first bytes of FLAC, Ogg Vorbis and MP3 files tell. */
export function rateOf(data: Uint8Array): number | undefined {
  const text = String.fromCharCode(...data.subarray(0, 64));
  if (text.startsWith("fLaC")) return (data[18]! << 12) | (data[19]! << 4) | (data[20]! >> 4);
  const vorbis = text.indexOf("\x01vorbis");
  if (text.startsWith("OggS") && vorbis > 0) {
    return new DataView(data.buffer, data.byteOffset).getUint32(vorbis + 12, true);
  }
  let at = 0;
  if (text.startsWith("ID3")) at = 10 + data.subarray(6, 10).reduce((size, byte) => size * 128 + (byte & 127), 0);
  const [first, second, third] = data.subarray(at, at + 3);
  if (first === 0xff && (second! & 0xe6) >= 0xe2) return MP3_RATES[(second! >> 3) & 3]![(third! >> 2) & 3];
  return undefined;
}
