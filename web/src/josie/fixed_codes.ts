import { check } from "./errors";

/** Bits that a code of a codebook of so many takes. */
export function codeBits(codebookSize: number): number {
  return Math.ceil(Math.log2(codebookSize));
}

/** Codes of so many bits each, the most significant first, from a payload of exactly the bytes they need. */
export function unpackCodes(payload: Uint8Array, count: number, codebookSize: number): Uint16Array {
  const width = codeBits(codebookSize);
  check(payload.length === Math.ceil((count * width) / 8), `${payload.length} bytes for ${count} codes`);
  const codes = new Uint16Array(count);
  let [held, bits, at] = [0, 0, 0];
  for (let i = 0; i < count; i++) {
    for (; bits < width; bits += 8) held = ((held << 8) | payload[at++]!) & 0xffffff;
    bits -= width;
    codes[i] = (held >> bits) & ((1 << width) - 1);
    check(codes[i]! < codebookSize, "a code that does not exist");
  }
  check((held & ((1 << bits) - 1)) === 0, "bits behind the last code");
  return codes;
}

/** The inverse of `unpackCodes`. */
export function packCodes(codes: ArrayLike<number>, codebookSize: number): Uint8Array {
  const width = codeBits(codebookSize);
  const out = new Uint8Array(Math.ceil((codes.length * width) / 8));
  let [held, bits, at] = [0, 0, 0];
  for (let i = 0; i < codes.length; i++) {
    held = ((held << width) | codes[i]!) & 0xffffff;
    for (bits += width; bits >= 8; bits -= 8) out[at++] = (held >> (bits - 8)) & 255;
  }
  if (bits) out[at] = (held << (8 - bits)) & 255;
  return out;
}
