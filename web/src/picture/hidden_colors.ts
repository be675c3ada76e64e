import { type Grid, grid } from "./grid";

/** Colour of a picture of which nothing is seen. */
const NOTHING = 0.5;

/**
 * A picture whose colours that are not seen continue the others smoothly, and so cost next to no bits: means of ever
 * larger squares (pull and push, Gortler et al. 1996).
 */
export function smoothColors(picture: Grid, alpha: Uint8Array): Grid {
  const seen = Float32Array.from(alpha, (value) => (value > 0 ? 1 : 0));
  if (!seen.includes(1)) return { ...picture, values: new Float32Array(picture.values.length).fill(NOTHING) };
  return filled(picture, { ...picture, channels: 1, values: seen });
}

/** Colours where they are seen, and beside those what a picture of half the size has. */
function filled(colors: Grid, seen: Grid): Grid {
  if (!seen.values.includes(0)) return colors;
  const share = halved(seen);
  const mean = halved({ ...colors, values: each(colors, (value, place) => value * seen.values[place]) });
  const means = { ...mean, values: each(mean, (value, place) => value / Math.max(share.values[place], 1e-6)) };
  const known = { ...share, values: share.values.map((value) => (value > 0 ? 1 : 0)) };
  const wide = doubled(filled(means, known), colors.height, colors.width);
  const values = each(colors, (value, place, at) => (seen.values[place] > 0 ? value : wide.values[at]));
  return { ...colors, values };
}

function each(x: Grid, change: (value: number, place: number, at: number) => number): Float32Array {
  return x.values.map((value, at) => change(value, Math.floor(at / x.channels), at));
}

/** Means over squares of two by two, of fewer at odd edges. */
function halved(x: Grid): Grid {
  const out = grid(Math.ceil(x.height / 2), Math.ceil(x.width / 2), x.channels);
  fill(out, (y, z, c) => {
    const at = (down: number, right: number) => {
      const [p, q] = [Math.min(2 * y + down, x.height - 1), Math.min(2 * z + right, x.width - 1)];
      return x.values[(p * x.width + q) * x.channels + c];
    };
    return (at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)) / 4;
  });
  return out;
}

/** Twice as many by linear interpolation, as far as they are wanted. */
function doubled(x: Grid, height: number, width: number): Grid {
  const out = grid(height, width, x.channels);
  const near = (at: number, size: number) => {
    const place = at >> 1;
    return [place, Math.max(0, Math.min(size - 1, at % 2 ? place + 1 : place - 1))];
  };
  fill(out, (y, z, c) => {
    const [[y0, y1], [z0, z1]] = [near(y, x.height), near(z, x.width)];
    const at = (p: number, q: number) => x.values[(p * x.width + q) * x.channels + c];
    const line = (p: number) => 0.75 * at(p, z0) + 0.25 * at(p, z1);
    return 0.75 * line(y0) + 0.25 * line(y1);
  });
  return out;
}

function fill(x: Grid, value: (y: number, z: number, c: number) => number): void {
  for (let y = 0, at = 0; y < x.height; y++) {
    for (let z = 0; z < x.width; z++) for (let c = 0; c < x.channels; c++) x.values[at++] = value(y, z, c);
  }
}
