import type { Grid } from "./grid";
import { COEFFICIENTS, COLORS, SIDE, ZIGZAG } from "./transform";

/** What each scale of MS-SSIM counts. */
const POWERS = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333];
const [SPREAD, REACH] = [1.5, 5];
const STEADY = 0.03 ** 2;
const BLOCK = SIDE * SIDE;

const WINDOW = (() => {
  const weights = Array.from({ length: 2 * REACH + 1 }, (_, i) => Math.exp(-((i - REACH) ** 2) / (2 * SPREAD ** 2)));
  const sum = weights.reduce((all, w) => all + w, 0);
  return weights.map((w) => w / sum);
})();

/** One plane of numbers. */
interface Plane {
  height: number;
  width: number;
  values: Float32Array;
}

/**
 * The logarithm of what an error of each coefficient counts in structural similarity, [blocks, 192], of a picture of
 * whole patches: by how much of it is left as variance in windows, over the picture's own variance there, at five
 * scales.
 */
export function errorWeights(pixels: Grid): Float32Array {
  const planes = Array.from({ length: COLORS }, (_, c) => {
    const values = new Float32Array(pixels.height * pixels.width);
    for (let i = 0; i < values.length; i++) values[i] = pixels.values[COLORS * i + c];
    return { height: pixels.height, width: pixels.width, values };
  });
  const blocks = (pixels.height * pixels.width) / BLOCK;
  const scales = steadiness(planes, pixels.width / SIDE, blocks);
  const bands = bandWeights();
  const out = new Float32Array(blocks * COEFFICIENTS);
  const row = new Float64Array(BLOCK);
  for (let at = 0; at < blocks; at++) {
    row.fill(0);
    for (let s = 0; s < POWERS.length; s++) {
      const value = scales[s][at];
      for (let k = 0; k < BLOCK; k++) row[k] += value * bands[s][k];
    }
    for (let k = 0; k < BLOCK; k++) {
      out[at * COEFFICIENTS + k] = Math.log(row[k]);
      for (let c = 1; c < COLORS; c++) out[at * COEFFICIENTS + c * BLOCK + k] = out[at * COEFFICIENTS + k];
    }
  }
  return out;
}

/** One over the variance in windows, of each block at each scale. */
function steadiness(planes: Plane[], columns: number, blocks: number): Float32Array[] {
  let x = planes;
  return POWERS.map((_, scale) => {
    const found = new Float32Array(blocks);
    for (const plane of x) {
      const mean = windowed(plane);
      const square = windowed({ ...plane, values: plane.values.map((value) => value * value) });
      const weight = square.map((value, i) => 1 / (2 * Math.max(0, value - mean[i] ** 2) + STEADY) / COLORS);
      const side = SIDE / 2 ** scale; // places of this scale that a block has a side
      const share = side > 1 ? 1 / side ** 2 : 1;
      for (let i = 0; i < blocks; i++) {
        const [y, z] = [Math.floor(i / columns) * side, (i % columns) * side];
        for (let p = 0; p < Math.max(1, side); p++) {
          const first = Math.floor(y + p) * plane.width + Math.floor(z);
          for (let q = 0; q < Math.max(1, side); q++) found[i] += weight[first + q] * share;
        }
      }
    }
    x = x.map(halved);
    return found;
  });
}

/** Means in windows, edges repeated. */
function windowed({ height, width, values }: Plane): Float32Array {
  const across = new Float32Array(values.length);
  const line = new Float32Array(width + 2 * REACH);
  for (let y = 0; y < height; y++) {
    const row = values.subarray(y * width, (y + 1) * width);
    line.fill(row[0], 0, REACH);
    line.set(row, REACH);
    line.fill(row[width - 1], width + REACH);
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (let n = 0; n < WINDOW.length; n++) sum += WINDOW[n] * line[x + n];
      across[y * width + x] = sum;
    }
  }
  const out = new Float32Array(values.length);
  const sums = new Float64Array(width);
  for (let y = 0; y < height; y++) {
    sums.fill(0);
    for (let n = 0; n < WINDOW.length; n++) {
      const from = Math.max(0, Math.min(height - 1, y + n - REACH)) * width;
      for (let x = 0; x < width; x++) sums[x] += WINDOW[n] * across[from + x];
    }
    out.set(sums, y * width);
  }
  return out;
}

/** Means of squares of two by two. */
function halved({ height, width, values }: Plane): Plane {
  const [rows, columns] = [height >> 1, width >> 1];
  const out = new Float32Array(rows * columns);
  for (let i = 0; i < out.length; i++) {
    const at = 2 * Math.floor(i / columns) * width + 2 * (i % columns);
    out[i] = (values[at] + values[at + 1] + values[at + width] + values[at + width + 1]) / 4;
  }
  return { height: rows, width: columns, values: out };
}

/** How much of a coefficient's error is variance in windows at each scale, times the scale's power: [scales, 64]. */
function bandWeights(): Float64Array[] {
  const out = POWERS.map(() => new Float64Array(BLOCK));
  ZIGZAG.forEach((place, k) => {
    const wave = (frequency: number, n: number) =>
      Math.cos((Math.PI * (2 * n + 1) * frequency) / (2 * SIDE)) * Math.sqrt((frequency ? 2 : 1) / SIDE);
    let size = 2 * SIDE;
    let x = new Float64Array(size * size);
    for (let i = 0; i < BLOCK; i++) {
      x[(i >> 3) * size + (i & 7)] = wave(place >> 3, i >> 3) * wave(place & 7, i & 7);
    }
    POWERS.forEach((power, scale) => {
      const left = energy(x) - energy(spreadOut(x, size));
      out[scale][k] = power * 4 ** scale * Math.max(0, left);
      const half = size / 2;
      x = Float64Array.from({ length: half * half }, (_, i) => {
        const at = 2 * Math.floor(i / half) * size + 2 * (i % half);
        return (x[at] + x[at + 1] + x[at + size] + x[at + size + 1]) / 4;
      });
      size = half;
    });
  });
  return out;
}

function energy(x: Float64Array): number {
  return x.reduce((sum, value) => sum + value * value, 0);
}

/** Means in windows of a square with nothing around it, as far as there are any. */
function spreadOut(x: Float64Array, size: number): Float64Array {
  const wide = size + 2 * REACH;
  const across = new Float64Array(size * wide);
  const out = new Float64Array(wide * wide);
  for (let y = 0; y < size; y++) {
    for (let z = 0; z < size; z++) {
      for (let n = 0; n < WINDOW.length; n++) across[y * wide + z + n] += WINDOW[n] * x[y * size + z];
    }
  }
  for (let y = 0; y < size; y++) {
    for (let n = 0; n < WINDOW.length; n++) {
      for (let z = 0; z < wide; z++) out[(y + n) * wide + z] += WINDOW[n] * across[y * wide + z];
    }
  }
  return out;
}
