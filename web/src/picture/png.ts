import { crc32 } from "../josie/crc32";
import type { Image } from "./image";

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const [BITS, RGB, RGBA] = [8, 2, 6];
const PAETH = 4;

/** The PNG file of an image, exact: a canvas would round the colours of what can be seen through. */
export async function writePng(image: Image): Promise<Uint8Array<ArrayBuffer>> {
  const { width, height, pixels } = image;
  const opaque = pixels.every((value, i) => i % 4 < 3 || value === 255);
  const head = new Uint8Array(13);
  const view = new DataView(head.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  head.set([BITS, opaque ? RGB : RGBA], 8);
  const packed = new Blob([filtered(image, opaque ? 3 : 4)]).stream().pipeThrough(new CompressionStream("deflate"));
  const data = new Uint8Array(await new Response(packed).arrayBuffer());
  const parts = [chunk("IHDR", head), chunk("sRGB", new Uint8Array(1)), chunk("IDAT", data), chunk("IEND")];
  return new Uint8Array(await new Blob([Uint8Array.from(SIGNATURE), ...parts]).arrayBuffer());
}

function chunk(name: string, data: Uint8Array = new Uint8Array(0)): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(data.length + 12);
  const view = new DataView(out.buffer);
  view.setUint32(0, data.length);
  out.set(new TextEncoder().encode(name), 4);
  out.set(data, 8);
  view.setUint32(data.length + 8, crc32(out.subarray(4, data.length + 8)));
  return out;
}

/** Rows of differences to what neighbours let expect. */
function filtered({ width, height, pixels }: Image, channels: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(height * (1 + width * channels));
  for (let y = 0, to = 0; y < height; y++) {
    out[to++] = PAETH;
    for (let x = 0; x < width; x++) {
      const at = 4 * (y * width + x);
      for (let c = 0; c < channels; c++) {
        const left = x ? pixels[at - 4 + c] : 0;
        const up = y ? pixels[at - 4 * width + c] : 0;
        const corner = x && y ? pixels[at - 4 * width - 4 + c] : 0;
        out[to++] = pixels[at + c] - nearest(left, up, corner);
      }
    }
  }
  return out;
}

/** The neighbour that is nearest to left + up - corner. */
function nearest(left: number, up: number, corner: number): number {
  const [a, b, c] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)];
  if (a <= b && a <= c) return left;
  return b <= c ? up : corner;
}
