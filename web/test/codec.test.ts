import { describe, expect, test } from "vitest";
import { BaseCodec } from "../src/model/codec";
import { RealFourier } from "../src/model/fourier";
import { ModelFiles } from "../src/model/model_files";
import { MersenneTwister } from "../src/model/random";
import { bytes, fetcher, relativeError, samples, there, unsigned } from "./files";

test("a Fourier transform and its inverse", () => {
  const fourier = new RealFourier(60);
  const wave = Float64Array.from({ length: 60 }, (_, n) => Math.sin(n * n) + 0.3);
  fourier.real.set(wave);
  fourier.forward();
  for (const k of [0, 1, 7, 30]) {
    let [x, y] = [0, 0];
    wave.forEach((value, n) => {
      x += value * Math.cos((2 * Math.PI * k * n) / 60);
      y -= value * Math.sin((2 * Math.PI * k * n) / 60);
    });
    expect(fourier.real[k]).toBeCloseTo(x, 10);
    expect(fourier.imag[k]).toBeCloseTo(y, 10);
  }
  fourier.inverse();
  wave.forEach((value, n) => {
    expect(fourier.real[n]).toBeCloseTo(value, 12);
  });
});

test("numbers of the noise are NumPy's", () => {
  const random = new MersenneTwister(1);
  const found = Array.from({ length: 4 }, () => random.normal());
  [1.6243453636632417, -0.6117564136500754, -0.5281717522634557, -1.0729686221561705].forEach((x, i) => {
    expect(found[i]).toBeCloseTo(x, 14);
  });
});

describe.skipIf(!there)("the base of the default model", () => {
  test("codes of ten seconds are the command line's", async () => {
    const codec = await BaseCodec.open(await ModelFiles.find(fetcher));
    const wave = samples(bytes("ten.wav").subarray(44), 32768);
    const codes = await codec.encode(wave, 9);
    const want = unsigned("ten.codes.bin");
    expect(codes.length).toBe(want.length);
    const equal = codes.filter((code, i) => code === want[i]).length / want.length;
    console.log(`equal codes ${equal}`);
    expect(equal).toBeGreaterThanOrEqual(0.995);
  });

  test("samples of ten seconds are the command line's", async () => {
    const codec = await BaseCodec.open(await ModelFiles.find(fetcher));
    const wave = await (await codec.decoder()).decode(unsigned("ten.codes.bin"), 9);
    const want = samples(bytes("ten_decoded.wav").subarray(44), 32768);
    const error = relativeError(wave, want);
    console.log(`error ${(10 * Math.log10(error)).toFixed(1)} dB`);
    expect(error).toBeLessThan(10 ** -3.5);
  });
});
