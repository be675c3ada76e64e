import { expect, test } from "vitest";
import { Offset } from "../src/model/offset";

const FRAME = 1920;

function wave(frames: number, offset: number): Float32Array {
  return Float32Array.from({ length: frames * FRAME }, (_, i) => offset + 0.1 * Math.sin((2 * Math.PI * i) / 96));
}

test("an offset is taken off, from the first sample on", () => {
  const samples = wave(6, 0.05);
  new Offset(FRAME).remove(samples);
  const plain = wave(6, 0);
  expect(Math.max(...samples.map((x, i) => Math.abs(x - plain[i]!)))).toBeLessThan(1e-6);
});

test("a small one stays", () => {
  const samples = wave(6, 0.0015);
  new Offset(FRAME).remove(samples);
  expect(samples).toEqual(wave(6, 0.0015));
});

test("pieces give what the whole gives", () => {
  const whole = Float32Array.from([...wave(3, 0.05), ...wave(4, -0.2)]);
  const pieces = whole.slice();
  new Offset(FRAME).remove(whole);
  const offset = new Offset(FRAME);
  offset.remove(pieces.subarray(0, 2 * FRAME));
  offset.remove(pieces.subarray(2 * FRAME));
  expect(pieces).toEqual(whole);
});
