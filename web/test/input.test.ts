import { describe, expect, test } from "vitest";
import { JosieError } from "../src/josie/errors";
import { ModelFiles } from "../src/model/model_files";
import { rateOf } from "../src/sound/input";
import { toMono } from "../src/sound/mono";
import { Recording } from "../src/sound/recording";
import { resample } from "../src/sound/resample";
import { readWav, writeWav } from "../src/sound/wav";
import { bytes, fetcher, there } from "./files";

test("a WAV file written is read again", () => {
  const channels = [Float32Array.of(0, 0.5, -1, 0.25), Float32Array.of(0.125, 0, 2, -0.75)];
  const found = readWav(writeWav({ rate: 12345, channels }))!;
  expect(found.rate).toBe(12345);
  expect([...found.channels[0]!]).toEqual([0, 0.5, -1, 0.25]);
  expect([...found.channels[1]!]).toEqual([0.125, 0, 32767 / 32768, -0.75]);
});

test("WAV files that are cut off", () => {
  const whole = writeWav({ rate: 8000, channels: [new Float32Array(100)] });
  expect(readWav(whole.slice(0, 144))!.channels[0]!.length).toBe(50);
  expect(() => readWav(whole.slice(0, 30))).toThrow(JosieError);
});

test("resampling keeps what both rates have, and nothing else", () => {
  const tone = (hertz: number, rate: number, length: number) =>
    Float32Array.from({ length }, (_, n) => Math.sin((2 * Math.PI * hertz * n) / rate));
  const kept = resample(tone(1000, 44100, 44100), 44100, 24000);
  const want = tone(1000, 24000, 24000);
  expect(kept.length).toBe(24000);
  for (let n = 2000; n < 22000; n += 7) expect(Math.abs(kept[n]! - want[n]!)).toBeLessThan(1e-5);
  const gone = resample(tone(13000, 44100, 44100), 44100, 24000);
  for (let n = 2000; n < 22000; n += 7) expect(Math.abs(gone[n]!)).toBeLessThan(1e-5);
});

test("channels of opposite phase do not cancel out", () => {
  const left = Float32Array.from({ length: 100 }, (_, n) => Math.sin(n));
  const { samples, notes } = toMono({ rate: 8000, channels: [left, left.map((x) => -x)] });
  expect(samples[1]).toBeCloseTo(left[1]!, 6);
  expect(notes.join()).toMatch(/opposite/);
  const broken = toMono({ rate: 8000, channels: [Float32Array.of(0.5, Number.NaN, Number.POSITIVE_INFINITY)] });
  expect([...broken.samples]).toEqual([0.5, 0, 0]);
  expect(broken.notes.join()).toMatch(/2 samples/);
});

test("opposite offsets are no opposite phase", () => {
  const [left, right] = [0.3, -0.3].map((offset) =>
    Float32Array.from({ length: 800 }, (_, n) => offset + 0.1 * Math.sin(n)),
  );
  const { samples, notes } = toMono({ rate: 8000, channels: [left!, right!] });
  expect(notes.join()).not.toMatch(/opposite/);
  expect(samples[1]).toBeCloseTo(0.1 * Math.sin(1), 6);
});

test("rates of other formats", () => {
  const flac = new Uint8Array(64);
  flac.set([0x66, 0x4c, 0x61, 0x43]);
  flac.set([0x0a, 0xc4, 0x42], 18);
  expect(rateOf(flac)).toBe(44100);
  expect(rateOf(Uint8Array.of(0xff, 0xfb, 0x94, 0))).toBe(48000);
  expect(rateOf(Uint8Array.of(0xff, 0xf3, 0x44, 0))).toBe(24000);
  expect(rateOf(new Uint8Array(64))).toBeUndefined();
});

describe.skipIf(!there)("WAV files of other rates have the command line's codes", () => {
  test.each([8000, 16000, 44100, 48000])("%i Hz", async (rate) => {
    const sound = readWav(bytes(`rate_${rate}.wav`))!;
    const { samples } = toMono(sound);
    const model = await ModelFiles.find(fetcher);
    const original = { rate: sound.rate, channels: sound.channels.length };
    const made = await Recording.encode(resample(samples, sound.rate, 24000), original, model);
    const data = bytes(`rate_${rate}.josie`);
    const want = await Recording.open(data, (wanted) => ModelFiles.find(fetcher, wanted));
    expect(made.codes.length).toBe(want.codes.length);
    const equal = made.codes.filter((code, i) => code === want.codes[i]).length / want.codes.length;
    console.log(`${rate} Hz: equal codes ${equal.toFixed(4)}`);
    expect(equal).toBeGreaterThanOrEqual(0.995);
    if (equal === 1) expect(await made.toFile(made.levels)).toEqual(new Uint8Array(data));
  });
});
