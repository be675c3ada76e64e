import { CountedBits } from "./counted_bits";
import { check } from "./errors";
import { IndexMap } from "./index_map";
import { type BitCoder, RangeDecoder, RangeEncoder } from "./range_coder";

/** What a payload holds. */
const [VALUES, DIFFERENCES, PLAIN] = [0, 1, 2];
const MAX_WIDTH = 2 ** 17;

/** How opaque each pixel of some rows is. */
export function decodeAlpha(payload: Uint8Array, rows: number, width: number): Uint8Array {
  const kind = payload[0];
  const data = payload.subarray(1);
  if (kind === PLAIN) {
    check(data.length === rows * width, "alpha of another size");
    return data;
  }
  check((kind === VALUES || kind === DIFFERENCES) && width <= MAX_WIDTH, "alpha in a coding that is not known");
  const decoder = new RangeDecoder(data);
  const values = codeValues(decoder, new Uint8Array(decoder.raw(8) + 1));
  const map = new IndexMap(values.length, width);
  const out = new Uint8Array(rows * width);
  for (let y = 0; y < rows; y++) {
    out.set(
      map.next(decoder, [[0, width]]).map((index) => values[index]),
      y * width,
    );
  }
  check(decoder.ended, "bytes behind alpha");
  if (kind === DIFFERENCES) predicted(out, rows, width, (expected, difference) => (expected + difference) & 255);
  return out;
}

/** The inverse of `decodeAlpha`, in the shorter of its forms. */
export function encodeAlpha(alpha: Uint8Array, rows: number, width: number): Uint8Array {
  const plain = () => joined(PLAIN, alpha);
  if (width > MAX_WIDTH) return plain();
  const own = joined(VALUES, coded(alpha, rows, width));
  if (16 * own.length <= alpha.length) return own;
  const differences = new Uint8Array(alpha.length);
  predicted(alpha.slice(), rows, width, (expected, value, at) => {
    differences[at] = value - expected;
    return value;
  });
  const ways = [own, joined(DIFFERENCES, coded(differences, rows, width)), plain()];
  return ways.reduce((best, way) => (way.length < best.length ? way : best));
}

function joined(kind: number, data: Uint8Array): Uint8Array {
  const out = new Uint8Array(1 + data.length);
  out[0] = kind;
  out.set(data, 1);
  return out;
}

function coded(values: Uint8Array, rows: number, width: number): Uint8Array {
  const encoder = new RangeEncoder();
  const there = Uint8Array.from(new Set(values)).sort();
  encoder.raw(8, there.length - 1);
  codeValues(encoder, there);
  const index = new Uint8Array(256);
  there.forEach((value, i) => {
    index[value] = i;
  });
  const map = new IndexMap(there.length, width);
  for (let y = 0; y < rows; y++) {
    map.next(
      encoder,
      [[0, width]],
      values.subarray(y * width, (y + 1) * width).map((value) => index[value]),
    );
  }
  return encoder.finish();
}

/** Codes which values there are, rising. */
function codeValues(coder: BitCoder, values: Uint8Array): Uint8Array {
  const bits = new CountedBits(8);
  let least = 0;
  values.forEach((value, i) => {
    const found = least + bits.number(coder, 0, 8, value - least);
    check(found <= 255, "a value of alpha that there cannot be");
    values[i] = found;
    least = found + 1;
  });
  return values;
}

/** Goes through pixels with what their neighbours let expect; what is given back takes their place. */
function predicted(
  values: Uint8Array,
  rows: number,
  width: number,
  change: (expected: number, value: number, at: number) => number,
): void {
  for (let y = 0, at = 0; y < rows; y++) {
    for (let x = 0; x < width; x++, at++) {
      let up = y ? values[at - width] : 0;
      const left = x ? values[at - 1] : up;
      let corner = y && x ? values[at - width - 1] : up;
      if (!y) up = corner = left;
      const [low, high] = left < up ? [left, up] : [up, left];
      values[at] = change(Math.max(low, Math.min(high, left + up - corner)), values[at], at);
    }
  }
}
