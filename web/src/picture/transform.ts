import type { Grid } from "./grid";

/** Side of a block of pixels, and of a patch of four. */
export const SIDE = 8;
export const PATCH = 16;
export const COLORS = 3;
/** Coefficients of a block: the 64 of each colour in zigzag order. */
export const COEFFICIENTS = COLORS * SIDE * SIDE;

/** Shapes of blocks: whether they are 16 long downwards, and across. */
export const SHAPES = [
  [false, false],
  [true, true],
  [true, false],
  [false, true],
] as const;

/** Orthonormal colours, row by row. */
const MIX = [
  [1, 1, 1],
  [1, 0, -1],
  [1, -2, 1],
].map((row) => row.map((x) => x / Math.sqrt(row.reduce((sum, y) => sum + y * y, 0))));

/** The DCT-II of a length, [frequency, place]. */
function cosines(size: number): Float64Array {
  return Float64Array.from({ length: size * size }, (_, i) => {
    const [k, n] = [Math.floor(i / size), i % size];
    return Math.cos((Math.PI * (2 * n + 1) * k) / (2 * size)) * Math.sqrt((k ? 2 : 1) / size);
  });
}
const SHORT = cosines(SIDE);
/** Rows in the order that frequencies of 16 take in two blocks of 8: even ones, then odd ones. */
const LONG = (() => {
  const found = cosines(PATCH);
  const out = new Float64Array(PATCH * PATCH);
  for (let i = 0; i < PATCH; i++) {
    const k = 2 * (i % SIDE) + Math.floor(i / SIDE);
    out.set(found.subarray(k * PATCH, (k + 1) * PATCH), i * PATCH);
  }
  return out;
})();
/** Two blocks of 8 beside each other. */
const TWO = (() => {
  const out = new Float64Array(PATCH * PATCH);
  for (let i = 0; i < PATCH; i++) {
    const first = i < SIDE ? 0 : SIDE;
    for (let n = 0; n < SIDE; n++) out[i * PATCH + first + n] = SHORT[(i % SIDE) * SIDE + n];
  }
  return out;
})();

/** Place in a block, row by row, of each coefficient in zigzag order. */
export const ZIGZAG = (() => {
  const key = (i: number) => {
    const [row, column] = [Math.floor(i / SIDE), i % SIDE];
    return SIDE * 2 * (row + column) + ((row + column) % 2 ? row : column);
  };
  return Array.from({ length: SIDE * SIDE }, (_, i) => i).sort((a, b) => key(a) - key(b));
})();

/** Frequencies down and across together of each coefficient of a block. */
export const FREQUENCIES = Array.from({ length: COEFFICIENTS }, (_, i) => {
  const place = ZIGZAG[i % (SIDE * SIDE)];
  return Math.floor(place / SIDE) + (place % SIDE);
});

const input = new Float64Array(PATCH * PATCH);
const between = new Float64Array(PATCH * PATCH);
const output = new Float64Array(COLORS * PATCH * PATCH);

/** Pixels [H, W, 3] of whole patches -> coefficients of blocks of 8 x 8 of the shape of each patch, [H/8, W/8, 192]. */
export function toCoefficients(pixels: Grid, shapes?: ArrayLike<number>): Float32Array {
  const [rows, columns] = [pixels.height / PATCH, pixels.width / PATCH];
  const out = new Float32Array(4 * rows * columns * COEFFICIENTS);
  for (let patch = 0; patch < rows * columns; patch++) {
    const [i, j] = [Math.floor(patch / columns), patch % columns];
    const [down, across] = SHAPES[shapes?.[patch] ?? 0];
    for (let color = 0; color < COLORS; color++) {
      const [r, g, b] = MIX[color];
      for (let n = 0; n < input.length; n++) {
        const at = 3 * ((i * PATCH + (n >> 4)) * pixels.width + j * PATCH + (n & 15));
        input[n] = r * pixels.values[at] + g * pixels.values[at + 1] + b * pixels.values[at + 2];
      }
      turned(down ? LONG : TWO, across ? LONG : TWO, input, output, 0);
      eachCoefficient(i, j, columns, color, (block, place) => {
        out[block] = output[place];
      });
    }
  }
  return out;
}

/** The inverse of `toCoefficients`. */
export function toPixels(coefficients: Float32Array, rows: number, columns: number, shapes?: ArrayLike<number>): Grid {
  const width = columns * PATCH;
  const values = new Float32Array(rows * PATCH * width * COLORS);
  for (let patch = 0; patch < rows * columns; patch++) {
    const [i, j] = [Math.floor(patch / columns), patch % columns];
    const [down, across] = SHAPES[shapes?.[patch] ?? 0];
    for (let color = 0; color < COLORS; color++) {
      eachCoefficient(i, j, columns, color, (block, place) => {
        input[place] = coefficients[block];
      });
      turnedBack(down ? LONG : TWO, across ? LONG : TWO, input, output, color * PATCH * PATCH);
    }
    for (let n = 0; n < PATCH * PATCH; n++) {
      const at = 3 * ((i * PATCH + (n >> 4)) * width + j * PATCH + (n & 15));
      const [x, y, z] = [output[n], output[n + 256], output[n + 512]];
      for (let c = 0; c < COLORS; c++) values[at + c] = MIX[0][c] * x + MIX[1][c] * y + MIX[2][c] * z;
    }
  }
  return { height: rows * PATCH, width, channels: COLORS, values };
}

/** Of a colour of a patch: where each coefficient lies among all, and where in the patch. */
function eachCoefficient(
  i: number,
  j: number,
  columns: number,
  color: number,
  each: (block: number, place: number) => void,
): void {
  for (let quarter = 0; quarter < 4; quarter++) {
    const [y, x] = [quarter >> 1, quarter & 1];
    const block = ((2 * i + y) * 2 * columns + 2 * j + x) * COEFFICIENTS + color * SIDE * SIDE;
    for (let k = 0; k < SIDE * SIDE; k++) {
      const place = ZIGZAG[k];
      each(block + k, (SIDE * y + (place >> 3)) * PATCH + SIDE * x + (place & 7));
    }
  }
}

/** D X A^T. */
function turned(down: Float64Array, across: Float64Array, x: Float64Array, out: Float64Array, first: number): void {
  for (let y = 0; y < PATCH; y++) {
    for (let k = 0; k < PATCH; k++) {
      let sum = 0;
      for (let n = 0; n < PATCH; n++) sum += across[k * PATCH + n] * x[y * PATCH + n];
      between[y * PATCH + k] = sum;
    }
  }
  for (let k = 0; k < PATCH; k++) {
    for (let z = 0; z < PATCH; z++) {
      let sum = 0;
      for (let n = 0; n < PATCH; n++) sum += down[k * PATCH + n] * between[n * PATCH + z];
      out[first + k * PATCH + z] = sum;
    }
  }
}

/** D^T X A. */
function turnedBack(down: Float64Array, across: Float64Array, x: Float64Array, out: Float64Array, first: number): void {
  for (let y = 0; y < PATCH; y++) {
    for (let n = 0; n < PATCH; n++) {
      let sum = 0;
      for (let k = 0; k < PATCH; k++) sum += across[k * PATCH + n] * x[y * PATCH + k];
      between[y * PATCH + n] = sum;
    }
  }
  for (let n = 0; n < PATCH; n++) {
    for (let z = 0; z < PATCH; z++) {
      let sum = 0;
      for (let k = 0; k < PATCH; k++) sum += down[k * PATCH + n] * between[k * PATCH + z];
      out[first + n * PATCH + z] = sum;
    }
  }
}
