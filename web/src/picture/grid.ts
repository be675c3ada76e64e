/** Numbers of the places of a grid: [height, width, channels]. */
export interface Grid {
  height: number;
  width: number;
  channels: number;
  values: Float32Array;
}

export function grid(height: number, width: number, channels: number, values?: Float32Array): Grid {
  return { height, width, channels, values: values ?? new Float32Array(height * width * channels) };
}

/** Squares of `factor` x `factor` places become one. */
export function merged(x: Grid, factor: number): Grid {
  const out = grid(x.height / factor, x.width / factor, x.channels * factor * factor);
  squares(x, out, factor, (fine, coarse) => {
    for (let c = 0; c < x.channels; c++) out.values[coarse + c] = x.values[fine + c];
  });
  return out;
}

/** The inverse of `merged`. */
export function unmerged(x: Grid, factor: number): Grid {
  const out = grid(x.height * factor, x.width * factor, x.channels / (factor * factor));
  squares(out, x, factor, (fine, coarse) => {
    for (let c = 0; c < out.channels; c++) out.values[fine + c] = x.values[coarse + c];
  });
  return out;
}

function squares(fine: Grid, coarse: Grid, factor: number, each: (fine: number, coarse: number) => void): void {
  for (let y = 0, at = 0; y < fine.height; y++) {
    for (let x = 0; x < fine.width; x++, at += fine.channels) {
      const place = Math.floor(y / factor) * coarse.width + Math.floor(x / factor);
      const inside = (y % factor) * factor + (x % factor);
      each(at, place * coarse.channels + inside * fine.channels);
    }
  }
}

/** A part of a grid. */
export function cropped(x: Grid, top: number, left: number, height: number, width: number): Grid {
  if (!top && !left && height === x.height && width === x.width) return x;
  const out = grid(height, width, x.channels);
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * x.width + left) * x.channels;
    out.values.set(x.values.subarray(from, from + width * x.channels), y * width * x.channels);
  }
  return out;
}

/** Puts a part of one grid into another. */
function put(part: Grid, top: number, left: number, out: Grid): void {
  for (let y = 0; y < part.height; y++) {
    const row = part.values.subarray(y * part.width * part.channels, (y + 1) * part.width * part.channels);
    out.values.set(row, ((top + y) * out.width + left) * out.channels);
  }
}

/**
 * Runs a network over tiles, each with the margin that it looks beyond, which gives just what one piece would.
 *
 * @param inputs Grids, with how many places a patch has a side in each.
 * @param scale The same of what comes out.
 * @param margin Patches that the network looks beyond each patch.
 * @param side Patches a side of a tile.
 */
export async function tiled(
  inputs: { x: Grid; scale: number }[],
  scale: number,
  margin: number,
  side: number,
  run: (...parts: Grid[]) => Promise<Grid>,
): Promise<Grid> {
  const [height, width] = [inputs[0].x.height / inputs[0].scale, inputs[0].x.width / inputs[0].scale];
  if (height <= side + 2 * margin && width <= side + 2 * margin) return run(...inputs.map(({ x }) => x));
  let out: Grid | undefined;
  for (let top = 0; top < height; top += side) {
    for (let left = 0; left < width; left += side) {
      const [bottom, right] = [Math.min(top + side, height), Math.min(left + side, width)];
      const [up, west] = [Math.max(0, top - margin), Math.max(0, left - margin)];
      const [down, east] = [Math.min(height, bottom + margin), Math.min(width, right + margin)];
      const parts = inputs.map(({ x, scale: s }) => cropped(x, up * s, west * s, (down - up) * s, (east - west) * s));
      const found = await run(...parts);
      out ??= grid(height * scale, width * scale, found.channels);
      const inner = [top - up, left - west, bottom - top, right - left].map((n) => n * scale);
      put(cropped(found, inner[0], inner[1], inner[2], inner[3]), top * scale, left * scale, out);
    }
  }
  return out!;
}
