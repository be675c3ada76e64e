/** Small parts of a stream: memories, windows and products. Rows of numbers lie one after the other. */
import { joined } from "../model/spectra";

/** Puts what came before in front of a chunk: `left` numbers, zeros at first. */
export class Past {
  private kept: Float32Array;

  constructor(readonly left: number) {
    this.kept = new Float32Array(left);
  }

  next(x: Float32Array): Float32Array<ArrayBuffer> {
    const whole = joined(this.kept, x);
    this.kept = whole.slice(whole.length - this.left);
    return whole;
  }
}

/** The same later by so many numbers. */
export class Delay {
  private readonly past: Past;

  constructor(count: number) {
    this.past = new Past(count);
  }

  next(x: Float32Array): Float32Array {
    return this.past.next(x).slice(0, x.length);
  }
}

/** All windows of `size` numbers, each `step` after the last: [windows, size]. */
export function windows(x: Float32Array, size: number, step: number): Float32Array {
  const count = Math.floor((x.length - size) / step) + 1;
  const out = new Float32Array(count * size);
  for (let n = 0; n < count; n++) out.set(x.subarray(n * step, n * step + size), n * size);
  return out;
}

/** [n, inputs] times a matrix [inputs, outputs], summed in double precision. */
export function product(x: Float32Array, matrix: ArrayLike<number>, inputs: number): Float32Array {
  const outputs = matrix.length / inputs;
  const rows = x.length / inputs;
  const out = new Float32Array(rows * outputs);
  const sum = new Float64Array(outputs);
  for (let n = 0; n < rows; n++) {
    sum.fill(0);
    for (let i = 0, w = 0; i < inputs; i++) {
      const value = x[n * inputs + i]!;
      for (let j = 0; j < outputs; j++, w++) sum[j]! += value * matrix[w]!;
    }
    out.set(sum, n * outputs);
  }
  return out;
}

/** A matrix [rows, columns] of single precision. */
export function matrixOf(rows: number, columns: number, value: (row: number, column: number) => number): Float32Array {
  return Float32Array.from({ length: rows * columns }, (_, i) => value(Math.floor(i / columns), i % columns));
}

/** The first bins of the real Fourier transform of `size` samples, [size, 2 * bins]: real, then imaginary parts. */
export function fourierMatrix(size: number, bins: number): Float32Array {
  return matrixOf(size, 2 * bins, (n, k) => {
    const angle = ((n * (k % bins)) % size) * ((2 * Math.PI) / size);
    return k < bins ? Math.cos(angle) : -Math.sin(angle);
  });
}

/** Squares of the sizes of complex numbers, [n, 2 * bins] -> [n, bins]. */
export function powers(x: Float32Array, bins: number): Float32Array {
  const out = new Float32Array(x.length / 2);
  for (let i = 0; i < out.length; i++) {
    const at = Math.floor(i / bins) * 2 * bins + (i % bins);
    out[i] = x[at]! ** 2 + x[at + bins]! ** 2;
  }
  return out;
}

export function clip(x: number, low: number, high: number): number {
  return Math.max(low, Math.min(high, x));
}
