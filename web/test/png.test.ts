import { inflateSync } from "node:zlib";
import { expect, test } from "vitest";
import { crc32 } from "../src/josie/crc32";
import { writePng } from "../src/picture/png";
import { noise } from "./files";

/** The names of the chunks of a file, and the rows of its pixels. */
function read(png: Uint8Array, channels: number) {
  const view = new DataView(png.buffer);
  const names: string[] = [];
  let data = new Uint8Array(0);
  for (let at = 8; at < png.length; ) {
    const size = view.getUint32(at);
    names.push(new TextDecoder().decode(png.subarray(at + 4, at + 8)));
    expect(view.getUint32(at + 8 + size)).toBe(crc32(png.subarray(at + 4, at + 8 + size)));
    if (names.at(-1) === "IDAT") data = inflateSync(png.subarray(at + 8, at + 8 + size)) as typeof data;
    at += 12 + size;
  }
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  const stride = 1 + width * channels;
  const value = (y: number, x: number) => (y < 0 || x < 1 ? 0 : data[y * stride + x]);
  for (let y = 0; y < height; y++) {
    for (let x = 1; x < stride; x++) {
      const [a, b, c] = [value(y, x - channels), value(y - 1, x), value(y - 1, x - channels)];
      const nearest = [a, b, c].sort((p, q) => Math.abs(a + b - c - p) - Math.abs(a + b - c - q))[0];
      data[y * stride + x] += nearest;
    }
  }
  return { names, width, height, value };
}

test.each([3, 4])("a PNG file of %i channels has the very pixels", async (channels) => {
  const random = noise(channels);
  const [width, height] = [13, 7];
  const pixels = new Uint8ClampedArray(4 * width * height).map((_, i) =>
    i % 4 === 3 && channels === 3 ? 255 : Math.floor(256 * random()),
  );
  const png = await writePng({ width, height, pixels });
  const found = read(png, channels);
  expect(found.names).toEqual(["IHDR", "sRGB", "IDAT", "IEND"]);
  expect([found.width, found.height, png[25]]).toEqual([width, height, channels === 3 ? 2 : 6]);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < channels; c++) {
        expect(found.value(y, 1 + x * channels + c)).toBe(pixels[4 * (y * width + x) + c]);
      }
    }
  }
});
