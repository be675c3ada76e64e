/** Fourier transform of a size whose factors are small, in double precision. */
export class Fourier {
  private readonly factors: number[] = [];
  private readonly cos: Float64Array;
  private readonly sin: Float64Array;
  private readonly work: [Float64Array, Float64Array];

  constructor(readonly size: number) {
    let rest = size;
    for (const factor of [4, 2, 3, 5, 7]) for (; rest % factor === 0; rest /= factor) this.factors.push(factor);
    if (rest > 1) this.factors.push(rest);
    this.cos = Float64Array.from({ length: size }, (_, n) => Math.cos((2 * Math.PI * n) / size));
    this.sin = Float64Array.from({ length: size }, (_, n) => -Math.sin((2 * Math.PI * n) / size));
    this.work = [new Float64Array(size), new Float64Array(size)];
  }

  /** Transforms real and imaginary parts in place (Stockham: each pass reads one pair and writes the other). */
  transform(real: Float64Array, imag: Float64Array): void {
    let [a, b] = [real, imag];
    let [c, d] = this.work;
    let [before, rest] = [1, this.size];
    for (const factor of this.factors) {
      rest /= factor;
      this.pass(a, b, c, d, factor, before, rest);
      [a, b, c, d] = [c, d, a, b];
      before *= factor;
    }
    if (a !== real) {
      real.set(a);
      imag.set(b);
    }
  }

  /** Inputs [before, factor, rest] of real and imaginary parts -> outputs [factor, before, rest]. */
  private pass(
    a: Float64Array,
    b: Float64Array,
    c: Float64Array,
    d: Float64Array,
    factor: number,
    before: number,
    rest: number,
  ): void {
    const { cos, sin, size } = this;
    const stride = size / factor;
    for (let m = 0; m < factor; m++) {
      const step = (m * stride) % size;
      for (let k = 0; k < before; k++) {
        for (let i = 0; i < rest; i++) {
          let [x, y, place] = [0, 0, (before * m * i) % size];
          for (let n = 0, at = i + rest * factor * k; n < factor; n++, at += rest) {
            x += a[at]! * cos[place]! - b[at]! * sin[place]!;
            y += a[at]! * sin[place]! + b[at]! * cos[place]!;
            place += step;
            if (place >= size) place -= size;
          }
          const to = i + rest * (k + before * m);
          c[to] = x;
          d[to] = y;
        }
      }
    }
  }
}

/** Transforms of windows of real numbers. */
export class RealFourier {
  readonly bins: number;
  private readonly fourier: Fourier;
  readonly real: Float64Array;
  readonly imag: Float64Array;

  constructor(readonly size: number) {
    this.bins = size / 2 + 1;
    this.fourier = new Fourier(size);
    this.real = new Float64Array(size);
    this.imag = new Float64Array(size);
  }

  /** The spectrum of what stands in `real`, to `real` and `imag`, `bins` of each. */
  forward(): void {
    this.imag.fill(0);
    this.fourier.transform(this.real, this.imag);
  }

  /** The samples of the spectrum in `real` and `imag`, `bins` of each, to `real`. */
  inverse(): void {
    const { size, bins, real, imag } = this;
    imag[0] = 0;
    imag[bins - 1] = 0;
    for (let k = 1; k < bins - 1; k++) {
      real[size - k] = real[k]!;
      imag[size - k] = -imag[k]!;
    }
    // The inverse is the transform of the conjugate, conjugated.
    for (let k = 0; k < size; k++) imag[k] = -imag[k]!;
    this.fourier.transform(real, imag);
    for (let k = 0; k < size; k++) real[k]! /= size;
  }
}

/** A periodic Hann window. */
export function hann(size: number): Float64Array {
  return Float64Array.from({ length: size }, (_, n) => Math.fround(0.5 - 0.5 * Math.cos((2 * Math.PI * n) / size)));
}
