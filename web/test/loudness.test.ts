import { describe, expect, test } from "vitest";
import { readHeader, writeHeader } from "../src/josie/header";
import { ModelFiles } from "../src/model/model_files";
import { usualGain } from "../src/sound/loudness";
import { toMono } from "../src/sound/mono";
import { Recording } from "../src/sound/recording";
import { readWav } from "../src/sound/wav";
import { bytes, fetcher, there } from "./files";

const tone = (size: number, length = 24000) => Float32Array.from({ length }, (_, n) => size * Math.sin(0.26 * n));

test("gains of quiet, usual and loud recordings", () => {
  expect(usualGain(tone(0.1), 24000)).toBe(0);
  expect(usualGain(tone(0.001), 24000)).toBeGreaterThan(30);
  expect(usualGain(tone(0.9), 24000)).toBeLessThan(-15);
  for (const silent of [tone(0.00002), new Float32Array(24000), new Float32Array(0), tone(0, 3)]) {
    expect(usualGain(silent, 24000)).toBe(0);
  }
  const click = tone(0.001);
  click[500] = 0.5;
  expect(usualGain(click, 24000)).toBe(6);
});

test("headers with a gain", () => {
  const audio = { sampleRate: 24000, frameSize: 1920, originalRate: 24000, originalChannels: 1 };
  for (const gain of [-63, -1, 0, 1, 63]) {
    const stream = { kind: "audio" as const, levels: 9, codebookSize: 2048, fingerprint: "0123456789abcdef" };
    const info = { ...stream, model: "m", length: 5, audio: { ...audio, gain } };
    const header = readHeader(writeHeader(info));
    expect(header.version).toBe(gain ? 5 : 2);
    expect(header.streams).toEqual([info]);
  }
  const wrong = { kind: "audio" as const, levels: 9, codebookSize: 2048, fingerprint: "0123456789abcdef", model: "m" };
  expect(() => readHeader(writeHeader({ ...wrong, length: 5, audio: { ...audio, gain: 64 } }))).toThrow(/gain/);
});

test("headers of synthetic sound", () => {
  const audio = { sampleRate: 24000, frameSize: 1920, originalRate: 24000, originalChannels: 1, gain: 0 };
  const stream = { kind: "audio" as const, levels: 9, codebookSize: 2048, fingerprint: "0123456789abcdef" };
  const info = { ...stream, model: "m", length: 5, audio: { ...audio, synthetic: true } };
  const header = readHeader(writeHeader(info));
  expect(header.version).toBe(6);
  expect(header.streams).toEqual([info]);
});

describe.skipIf(!there)("quiet and loud recordings become the command line's files", () => {
  test.each(["quiet", "loud", "short"])("%s", async (name) => {
    const sound = readWav(bytes(`level_${name}.wav`))!;
    const model = await ModelFiles.find(fetcher);
    const made = await Recording.encode(toMono(sound).samples, { rate: 24000, channels: 1 }, model);
    const data = bytes(`level_${name}.josie`);
    expect(readHeader(data).streams[0]!.audio!.gain).not.toBe(0);
    expect(await made.toFile(made.levels)).toEqual(new Uint8Array(data));
  });
});
