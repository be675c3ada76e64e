import type { Tensor } from "onnxruntime-web/wasm";
import { hann } from "../model/fourier";
import type { Graph } from "../model/graph";
import { overlapped } from "./envelope";
import { clip, fourierMatrix, matrixOf, Past, product, windows } from "./steps";

const TAPS = { down: 120, up: 40 };
const [PASS, DOWN_BETA, UP_BETA] = [43 / 48, 9, 8];
const [EPSILON, FLOOR, COMPRESSION] = [1e-10, 1e-8, 0.4];
const [ABOVE, FADE, TAPER] = [75, 50, 150]; // Hz

/** Low-pass filter by a Kaiser window, of an odd number of taps; `cutoff` in units of half the rate. */
function lowpass(taps: number, cutoff: number, beta: number): Float64Array {
  const middle = (taps - 1) / 2;
  const out = Float64Array.from({ length: taps }, (_, n) => {
    const x = Math.PI * cutoff * (n - middle);
    return (x ? Math.sin(x) / x : 1) * bessel(beta * Math.sqrt(1 - ((n - middle) / middle) ** 2));
  });
  const sum = out.reduce((all, x) => all + x, 0);
  return out.map((x) => x / sum);
}

function bessel(x: number): number {
  let [sum, term] = [1, 1];
  for (let k = 1; term > 1e-17 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

/** [n * factor] -> [n]. */
export class Decimator {
  private readonly matrix: Float32Array;
  private readonly inputs: number;
  private readonly past: Past;
  private readonly step: number;

  constructor(factor: number, row: number) {
    const taps = TAPS.down * factor + 1;
    const filter = lowpass(taps, PASS / factor, DOWN_BETA);
    this.step = factor * row;
    this.inputs = taps - factor + this.step;
    this.matrix = matrixOf(this.inputs, row, (i, m) => filter[i - factor * m] ?? 0);
    this.past = new Past(this.inputs - this.step);
  }

  next(x: Float32Array): Float32Array {
    return product(windows(this.past.next(x), this.inputs, this.step), this.matrix, this.inputs);
  }
}

/** [n] -> [n * factor], later by `delay` samples of the output. */
export class Interpolator {
  private readonly matrix: Float32Array;
  private readonly inputs: number;
  private readonly past: Past;

  constructor(
    factor: number,
    delay: number,
    private readonly row: number,
  ) {
    const half = (TAPS.up * factor) / 2;
    const left = Math.floor((delay + half) / factor);
    const filter = lowpass(2 * half + 1, 1 / factor, UP_BETA).map((x) => x * factor);
    const value = (i: number, t: number) => filter[t - delay - factor * (i - left) + half] ?? 0;
    let used = left + row; // the last inputs are too new for any output, if it is late
    const none = (i: number) => Array.from({ length: factor * row }, (_, t) => value(i, t)).every((x) => x === 0);
    while (none(used - 1)) used--;
    this.inputs = used;
    this.matrix = matrixOf(used, factor * row, value);
    this.past = new Past(left);
  }

  next(x: Float32Array): Float32Array {
    const whole = this.past.next(x);
    const kept = whole.subarray(0, whole.length - (this.past.left + this.row - this.inputs));
    return product(windows(kept, this.inputs, this.row), this.matrix, this.inputs);
  }
}

/** The shortest delay of an interpolation, so that no output needs an input that comes later. */
export function leastDelay(factor: number): number {
  return (TAPS.up * factor) / 2 + factor - 1;
}

/** Samples by which decimation is late, at the full rate. */
export function decimationDelay(factor: number): number {
  return (TAPS.down * factor) / 2 - (factor - 1);
}

/** The first cosines of an MDCT under their window, [2 * hop, count]. */
export function mdctMatrix(hop: number, count: number): Float32Array {
  return matrixOf(2 * hop, count, (n, k) => {
    const window = Math.sin((Math.PI / (2 * hop)) * (n + 0.5));
    return window * Math.cos((Math.PI / hop) * (n + 0.5 + hop / 2) * (k + 0.5)) * (2 / hop) ** 0.5;
  });
}

/** [n, count] -> [n * hop], one hop late. */
export class InverseMdct {
  private readonly matrix: Float32Array;
  private readonly tail: Past;

  constructor(
    private readonly hop: number,
    private readonly count: number,
  ) {
    const forward = mdctMatrix(hop, count);
    this.matrix = matrixOf(count, 2 * hop, (k, n) => forward[n * count + k]!);
    this.tail = new Past(hop);
  }

  next(x: Float32Array): Float32Array {
    return overlapped(product(x, this.matrix, this.count), this.hop, this.tail);
  }
}

/** Settings of the filter behind the codes of the waveform, of `config.json`. */
export interface FilterConfig {
  window: number;
  hop: number;
}

/** Spectra, their units and their compressed magnitudes, [n, bins] each. */
interface Spectra {
  real: Float32Array;
  imag: Float32Array;
  unitReal: Float32Array;
  unitImag: Float32Array;
  size: Float32Array;
}

/** Low bands, decoded and of the base -> what to add to the decoded one, late. */
export class LowBandFilter {
  readonly hop: number;
  private readonly size: number;
  private readonly bins: number;
  private readonly matrix: Float32Array;
  private readonly back: Float32Array;
  private readonly taper: Float32Array;
  private readonly pasts: [Past, Past];
  private readonly before: [Past, Past];
  private readonly memory: Record<string, Tensor>;
  private readonly weight: Float64Array;
  private tail: Float32Array;

  constructor(
    config: FilterConfig,
    sampleRate: number,
    cutoff: number,
    private readonly graph: Graph,
    private readonly scale: Float32Array,
  ) {
    const { window: size, hop } = config;
    [this.size, this.hop] = [size, hop];
    const bins = Math.min(Math.floor(((cutoff + ABOVE) * size) / sampleRate), size / 2);
    this.bins = bins;
    const full = fourierMatrix(size, size / 2 + 1);
    const wide = size + 2;
    const entry = (n: number, k: number) => full[n * wide + (k < bins ? k : k - bins + size / 2 + 1)]!;
    const window = hann(size);
    this.matrix = matrixOf(size, 2 * bins, (n, k) => (entry(n, k) * window[n]! * 2) / size);
    this.back = matrixOf(2 * bins, size, (k, n) => ((entry(n, k) * (k % bins ? 2 : 1)) / size) * (2 / size) ** 0.5);
    this.taper = Float32Array.from({ length: bins }, (_, k) =>
      clip((cutoff + FADE - (k * sampleRate) / size) / TAPER, 0, 1),
    );
    const late = size - hop;
    this.pasts = [new Past(late), new Past(late)];
    this.before = [new Past(bins), new Past(bins)];
    this.memory = graph.beginning();
    const norm = (((size / 2) ** 0.5 * 8) / 3 / size) * hop;
    this.weight = window.map((x) => x * norm);
    this.tail = new Float32Array(late);
  }

  /** The next samples; `share` [windows] of all levels that were used, 0 to fade out. */
  async next(decoded: Float32Array, base: Float32Array, share: Float32Array): Promise<Float32Array> {
    const { bins, size, hop } = this;
    const own = this.spectra(this.pasts[0].next(decoded));
    const other = this.spectra(this.pasts[1].next(base));
    const count = share.length;
    const [lastReal, lastImag] = [this.before[0].next(own.unitReal), this.before[1].next(own.unitImag)];
    const features = new Float32Array(count * 6 * bins);
    for (let i = 0; i < count * bins; i++) {
      const [n, k] = [Math.floor(i / bins), i % bins];
      const [a, b, c, d] = [own.unitReal[i]!, own.unitImag[i]!, lastReal[i]!, lastImag[i]!];
      const turn = (((2 * Math.PI) / size) * hop * k) % (2 * Math.PI);
      const [x, y] = [a * c + b * d, b * c - a * d];
      const [cos, sin] = [Math.cos(turn), -Math.sin(turn)];
      const [e, f] = [other.unitReal[i]!, other.unitImag[i]!];
      const less = Math.min(own.size[i]!, other.size[i]!);
      const parts = [
        own.size[i]!,
        other.size[i]!,
        (a * e + b * f) * less,
        (b * e - a * f) * less,
        (x * cos - y * sin) * own.size[i]!,
        (x * sin + y * cos) * own.size[i]!,
      ];
      parts.forEach((part, p) => {
        features[(n * 6 + p) * bins + k] = part * this.scale[k]!;
      });
    }
    const told = Float32Array.from({ length: 2 * count }, (_, i) => share[i >> 1]! ** (1 + (i & 1)));
    const inputs = {
      features: { shape: [1, count, 6 * bins], values: features },
      share: { shape: [1, count, 2], values: told },
    };
    const gains = (await this.graph.run(inputs, this.memory)).gains!;
    return this.add(this.change(own, other, gains, share), count);
  }

  /** Windows of what is to be added, [n, size]. */
  private change(own: Spectra, other: Spectra, gains: Float32Array, share: Float32Array): Float32Array {
    const { bins, size } = this;
    const out = new Float32Array(share.length * 2 * bins);
    for (let i = 0; i < share.length * bins; i++) {
      const [n, k] = [Math.floor(i / bins), i % bins];
      const [p, q, r, s] = [0, 1, 2, 3].map((part) => gains[(n * 4 + part) * bins + k]!) as [
        number,
        number,
        number,
        number,
      ];
      const [a, b] = [own.unitReal[i]! * own.size[i]!, own.unitImag[i]! * own.size[i]!];
      const [e, f] = [other.unitReal[i]! * other.size[i]!, other.unitImag[i]! * other.size[i]!];
      const x = a * (1 + p) - b * q + e * r - f * s;
      const y = a * q + b * (1 + p) + e * s + f * r;
      const expand = (x * x + y * y + FLOOR) ** (0.5 * (1 / COMPRESSION - 1));
      const weight = share[n]! > 0 ? this.taper[k]! * 0.5 * size : 0;
      out[n * 2 * bins + k] = (x * expand - own.real[i]!) * weight;
      out[(n * 2 + 1) * bins + k] = (y * expand - own.imag[i]!) * weight;
    }
    return product(out, this.back, 2 * bins);
  }

  private add(frames: Float32Array, count: number): Float32Array {
    const { size, hop } = this;
    const total = new Float32Array(count * hop + this.tail.length);
    total.set(this.tail);
    for (let n = 0; n < count; n++) {
      for (let i = 0; i < size; i++) total[n * hop + i]! += frames[n * size + i]! * this.weight[i]!;
    }
    this.tail = total.slice(count * hop);
    return total.slice(0, count * hop);
  }

  private spectra(x: Float32Array): Spectra {
    const { bins, size } = this;
    const both = product(windows(x, size, this.hop), this.matrix, size);
    const length = both.length / 2;
    const pick = (first: number) =>
      Float32Array.from({ length }, (_, i) => both[Math.floor(i / bins) * 2 * bins + first + (i % bins)]!);
    const [real, imag] = [pick(0), pick(bins)];
    const magnitude = real.map((re, i) => Math.sqrt(re * re + imag[i]! ** 2 + EPSILON));
    return {
      real,
      imag,
      unitReal: real.map((re, i) => re / magnitude[i]!),
      unitImag: imag.map((im, i) => im / magnitude[i]!),
      size: magnitude.map((x) => x ** COMPRESSION),
    };
  }
}
