import { CountedBits } from "./counted_bits";
import { check } from "./errors";
import { IndexMap } from "./index_map";
import { type BitCoder, RangeDecoder, RangeEncoder } from "./range_coder";

const MOST_PIXELS = 2 ** 21;
const CHANNELS = 3;
const SIZE_BITS = 9;
export const MAX_COLORS = 255;

/** Patches of few colours of a grid of patches. */
export interface Screen {
  /** 1 where a patch has few colours. */
  patches: Uint8Array;
  /** Red, green and blue of each colour. */
  palette: Uint8Array;
  /** Of each pixel, row by row; the number of colours in other patches. */
  indexes: Uint8Array;
}

/** The patches of few colours of a block. */
export function decodeScreen(data: Uint8Array, rows: number, columns: number, patch: number): Screen {
  check(rows * columns * patch * patch <= MOST_PIXELS, "patches of few colours in a block that is too large for them");
  const decoder = new RangeDecoder(data);
  const colors = decoder.raw(8);
  check(colors > 0, "patches of few colours without colours");
  const screen = {
    patches: new Uint8Array(rows * columns),
    palette: new Uint8Array(CHANNELS * colors),
    indexes: new Uint8Array(rows * columns * patch * patch),
  };
  codeScreen(decoder, rows, columns, patch, screen, false);
  check(decoder.ended, "bytes behind the patches of few colours");
  return screen;
}

/** The inverse of `decodeScreen`. */
export function encodeScreen(screen: Screen, rows: number, columns: number, patch: number): Uint8Array {
  const encoder = new RangeEncoder();
  encoder.raw(8, screen.palette.length / CHANNELS);
  codeScreen(encoder, rows, columns, patch, screen, true);
  return encoder.finish();
}

function codeScreen(
  coder: BitCoder,
  rows: number,
  columns: number,
  patch: number,
  screen: Screen,
  given: boolean,
): void {
  const { patches, palette, indexes } = screen;
  codePatches(coder, rows, columns, patches);
  codePalette(coder, palette);
  const width = columns * patch;
  const map = new IndexMap(palette.length / CHANNELS, width);
  for (let y = 0; y < rows * patch; y++) {
    const row = Math.floor(y / patch) * columns;
    const spans = spansOf(patches.subarray(row, row + columns), patch);
    const line = indexes.subarray(y * width, (y + 1) * width);
    line.set(map.next(coder, spans, given ? line : undefined));
  }
}

function codePatches(coder: BitCoder, rows: number, columns: number, patches: Uint8Array): void {
  const bits = new CountedBits(8);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      const at = i * columns + j;
      const left = j ? patches[at - 1] : 1;
      const above = i ? patches[at - columns] : 1;
      const corner = i && j ? patches[at - columns - 1] : 1;
      patches[at] = bits.bit(coder, left + 2 * above + 4 * corner, patches[at]);
    }
  }
}

function codePalette(coder: BitCoder, palette: Uint8Array): void {
  const bits = new CountedBits(CHANNELS * (SIZE_BITS + 2));
  let [red, green, blue] = [0, 0, 0];
  for (let i = 0; i < palette.length; i += CHANNELS) {
    const step = (channel: number, value: number) => {
      const first = channel * (SIZE_BITS + 2);
      const size = bits.number(coder, first + 1, SIZE_BITS, Math.abs(value));
      return size && bits.bit(coder, first, value < 0 ? 1 : 0) ? -size : size;
    };
    const up = step(0, palette[i + 1] - green);
    red += up + step(1, palette[i] - red - up);
    blue += up + step(2, palette[i + 2] - blue - up);
    green += up;
    check(
      [red, green, blue].every((value) => value >= 0 && value <= 255),
      "a colour that there cannot be",
    );
    palette.set([red, green, blue], i);
  }
}

/** From where to where there are patches of few colours, in pixels. */
function spansOf(patches: Uint8Array, patch: number): [number, number][] {
  const spans: [number, number][] = [];
  patches.forEach((there, i) => {
    if (!there) return;
    const last = spans.at(-1);
    if (last && last[1] === i * patch) last[1] += patch;
    else spans.push([i * patch, (i + 1) * patch]);
  });
  return spans;
}
