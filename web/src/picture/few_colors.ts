import { type Codebooks, encodePatches } from "../josie/patch_payload";
import { encodeScreen, MAX_COLORS } from "../josie/screen_payload";
import { blockRows, type CodedBlock, MAX_PAYLOAD, nothing } from "./coded_block";
import type { Image } from "./image";
import { PATCH } from "./transform";

/** A picture as indexes of a few colours, of whole patches. */
interface FewColors {
  palette: Uint8Array;
  indexes: Uint8Array;
  columns: number;
  rows: number;
}

/** A picture by its colours, if it has so few; those of what cannot be seen do not count, and continue what is. */
function fewColors({ width, height, pixels }: Image): FewColors | undefined {
  const [columns, rows] = [Math.ceil(width / PATCH), Math.ceil(height / PATCH)];
  const known = new Map<number, number>();
  const own = new Uint8Array(width * height);
  for (let i = 0, last = 0; i < own.length; i++) {
    if (pixels[4 * i + 3]) {
      const color = pixels[4 * i] * 65536 + pixels[4 * i + 1] * 256 + pixels[4 * i + 2];
      let index = known.get(color);
      if (index === undefined) {
        index = known.size;
        if (index === MAX_COLORS) return undefined;
        known.set(color, index);
      }
      last = index;
    }
    own[i] = last;
  }
  if (!known.size) return undefined;
  const indexes = new Uint8Array(rows * columns * PATCH * PATCH);
  for (let at = 0; at < indexes.length; at++) {
    const [y, x] = [Math.floor(at / (columns * PATCH)), at % (columns * PATCH)];
    indexes[at] = own[Math.min(y, height - 1) * width + Math.min(x, width - 1)];
  }
  const palette = Uint8Array.from([...known.keys()].flatMap((color) => [color >> 16, (color >> 8) & 255, color & 255]));
  return { palette, indexes, columns, rows };
}

/** The blocks of a picture of nothing but few colours, exactly; nothing if it has more, or a block has no room. */
export function encodeFewColors(image: Image, books: Codebooks): CodedBlock[] | undefined {
  const colors = fewColors(image);
  if (!colors) return undefined;
  const { palette, indexes, columns, rows } = colors;
  const size = columns * PATCH * PATCH;
  const out: CodedBlock[] = [];
  const step = blockRows(columns);
  for (let first = 0; first < rows; first += step) {
    const units = Math.min(step, rows - first);
    const patches = new Uint8Array(units * columns).fill(1);
    const own = { patches, palette, indexes: indexes.slice(first * size, (first + units) * size) };
    const screen = encodeScreen(own, units, columns, PATCH);
    if (screen.length > MAX_PAYLOAD / 2) return undefined;
    const block = { ...nothing(units, columns), screen };
    out.push({ first, units, ...encodePatches(block, books, undefined), block });
  }
  return out;
}
