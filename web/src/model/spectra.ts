import { hann, RealFourier } from "./fourier";

/** Waveform, piece by piece -> log magnitudes of windows that end with their hop, [n, window / 2 + 1]. */
export class LogSpectra {
  readonly bins: number;
  private readonly fourier: RealFourier;
  private readonly window: Float64Array;
  private past: Float32Array;

  constructor(
    private readonly hop: number,
    window: number,
  ) {
    this.fourier = new RealFourier(window);
    this.bins = this.fourier.bins;
    this.window = hann(window).map((x) => Math.fround(x * Math.fround((2 / window) ** 0.5)));
    this.past = new Float32Array(window - hop);
  }

  /** The next samples, whole hops. */
  next(samples: Float32Array): Float32Array<ArrayBuffer> {
    const { hop, bins, fourier, window } = this;
    const x = joined(this.past, samples);
    this.past = x.slice(x.length - this.past.length);
    const count = samples.length / hop;
    const out = new Float32Array(count * bins);
    for (let n = 0; n < count; n++) {
      for (let i = 0; i < window.length; i++) fourier.real[i] = Math.fround(x[n * hop + i]! * window[i]!);
      fourier.forward();
      for (let k = 0; k < bins; k++) {
        const power = fourier.real[k]! ** 2 + fourier.imag[k]! ** 2 + 1e-10;
        out[n * bins + k] = 0.5 * Math.log(power) * 0.4 + 1.8;
      }
    }
    return out;
  }
}

/** Spectra, piece by piece -> waveform; windows begin with their hop. */
export class OverlapAdd {
  private readonly fourier: RealFourier;
  private readonly window: Float64Array;
  private tail: Float32Array;

  constructor(
    private readonly hop: number,
    window: number,
  ) {
    this.fourier = new RealFourier(window);
    // Analysis and synthesis windows together, squared Hann windows, sum to 3 / 8 of the windows over each sample.
    const scale = Math.fround((((window / 2) ** 0.5 * 8) / 3 / window) * hop);
    this.window = hann(window).map((x) => Math.fround(x * scale));
    this.tail = new Float32Array(window - hop);
  }

  /** The next `count` windows, whose spectra `draw` puts into the transform's `real` and `imag`. */
  next(count: number, draw: (n: number, real: Float64Array, imag: Float64Array) => void): Float32Array<ArrayBuffer> {
    const { hop, fourier, window } = this;
    const total = new Float32Array(count * hop + this.tail.length);
    total.set(this.tail);
    for (let n = 0; n < count; n++) {
      draw(n, fourier.real, fourier.imag);
      fourier.inverse();
      for (let i = 0; i < window.length; i++) total[n * hop + i]! += fourier.real[i]! * window[i]!;
    }
    this.tail = total.slice(count * hop);
    return total.slice(0, count * hop);
  }
}

/** One array after the other. */
export function joined(...parts: Float32Array[]): Float32Array<ArrayBuffer> {
  const out = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
