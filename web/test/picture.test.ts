import { writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { readJosie } from "../src/josie/blocks";
import { JosieError } from "../src/josie/errors";
import type { Wanted } from "../src/model/model_files";
import { PictureFiles } from "../src/picture/model";
import { Picture } from "../src/picture/picture";
import { toCoefficients, toPixels } from "../src/picture/transform";
import { bytes, exists, fetcher, images, there } from "./files";

const kept = new Map<string, Promise<PictureFiles>>();
/** Models that were used stay loaded. */
function find(wanted?: Wanted): Promise<PictureFiles> {
  const key = wanted?.fingerprint ?? "";
  if (!kept.has(key)) kept.set(key, PictureFiles.find(fetcher, wanted));
  return kept.get(key)!;
}

test("a transform in blocks of several shapes, and its inverse", () => {
  const shapes = Uint8Array.of(0, 1, 2, 3);
  const values = Float32Array.from({ length: 32 * 32 * 3 }, (_, i) => Math.sin(i * i));
  const pixels = { height: 32, width: 32, channels: 3, values };
  const coefficients = toCoefficients(pixels, shapes);
  const energy = (x: Float32Array) => x.reduce((sum, value) => sum + value * value, 0);
  expect(energy(coefficients)).toBeCloseTo(energy(values), 3);
  const back = toPixels(coefficients, 2, 2, shapes);
  back.values.forEach((value, i) => {
    expect(Math.abs(value - values[i])).toBeLessThan(1e-5);
  });
});

describe.skipIf(!there)("pixels are Python's", () => {
  test.each(images.filter((name) => exists(`${name}.0.pixels.bin`)))("%s", async (name) => {
    const picture = await Picture.open(readJosie(bytes(`${name}.josie`)), find);
    const { width, height, pixels } = await picture.draw();
    const want = bytes(`${name}.0.pixels.bin`);
    expect(3 * width * height).toBe(want.length);
    let [most, unequal] = [0, 0];
    want.forEach((value, i) => {
      const pixel = 4 * Math.floor(i / 3);
      const opacity = pixels[pixel + 3] / 255;
      const onWhite = pixels[pixel + (i % 3)] * opacity + 255 * (1 - opacity);
      const off = Math.floor(Math.abs(onWhite - value) + 0.49);
      most = Math.max(most, off);
      if (off) unequal++;
    });
    console.log(`${name}: ${unequal} of ${want.length} values differ, by at most ${most}`);
    expect(most).toBeLessThanOrEqual(1);
    // Of transparent ones the test rounds twice.
    if (!picture.transparent) expect(unequal).toBeLessThan(0.01 * want.length);
  });
});

describe.skipIf(!there)("files that cannot be shown", () => {
  test("where alpha is damaged, a picture is opaque", async () => {
    const broken = bytes("image_alpha.josie").slice();
    const { header, blocks } = readJosie(broken);
    broken[header.size + 20] ^= 1;
    expect(blocks[0].stream).toBe(1);
    const picture = await Picture.open(readJosie(broken), find);
    expect(picture.problems.join()).toMatch(/Rows|rows/);
    const { pixels } = await picture.draw();
    expect(pixels.every((value, i) => i % 4 < 3 || value === 255)).toBe(true);
  });

  test("videos say that they are some", async () => {
    for (const name of ["video_with_motion", "video_with_sound"]) {
      await expect(Picture.open(readJosie(bytes(`${name}.josie`)), find)).rejects.toThrow(/video/);
    }
  });

  test("a picture of a model that is not here", async () => {
    const index = new TextEncoder().encode('{"default": "", "models": []}');
    const nowhere = (wanted: Wanted) => PictureFiles.find(async () => index, wanted);
    const opened = Picture.open(readJosie(bytes("image_shapes.josie")), nowhere);
    await expect(opened).rejects.toThrow(/jovio-16-v5/);
    await expect(opened).rejects.toBeInstanceOf(JosieError);
  });
});

const made: { name: string; step: number; width: number; height: number }[] = there
  ? JSON.parse(new TextDecoder().decode(bytes("pictures.json")))
  : [];

describe.skipIf(!there)("what is encoded is the command line's", () => {
  test.each(made)("$name at step $step", async ({ name, step, width, height }) => {
    const pixels = new Uint8ClampedArray(bytes(`${name}.rgba`));
    const own = await Picture.encode({ width, height, pixels }, step, await find());
    const want = bytes(`${name}_${step}.josie`);
    const other = await Picture.open(readJosie(want), find);
    const read = readJosie(own.file!);
    expect(read.problems).toEqual([]);
    const found = await Picture.open(read, find);
    const codes = (picture: Picture) => picture.blocks.flatMap((block) => [...block.counts, ...block.codes]);
    const [a, b] = [codes(found), codes(other)];
    const equal = a.filter((code, i) => code === b[i]).length / b.length;
    const size = (picture: Picture) => picture.blocks.reduce((sum, block) => sum + (block.detail?.length ?? 0), 0);
    console.log(
      `${name} ${step}: equal codes ${equal.toFixed(4)}, ${own.file!.length} and ${want.length} bytes, details ${size(found)} and ${size(other)}`,
    );
    expect(equal).toBeGreaterThan(0.995);
    expect(Math.abs(own.file!.length / want.length - 1)).toBeLessThan(0.01);
    if (equal === 1 && size(found) === size(other)) expect(own.file).toEqual(new Uint8Array(want));
  });
});

test.skipIf(!there)("a drawing of few colours is kept exactly, also where it can be seen through", async () => {
  const [width, height] = [90, 50];
  const pixels = new Uint8ClampedArray(4 * width * height);
  for (let at = 0; at < width * height; at++) {
    const [y, x] = [Math.floor(at / width), at % width];
    const inside = (x - 45) ** 2 + (y - 25) ** 2 < 400;
    pixels.set(inside ? [200, 30, 5, 255] : [x & 8 ? 255 : 10, 255, 240, y < 40 ? 255 : 0], 4 * at);
  }
  const own = await Picture.encode({ width, height, pixels }, 76, await find());
  const found = await Picture.open(readJosie(own.file!), find);
  expect(found.transparent).toBe(true);
  const drawn = await found.draw();
  const visible = (all: Uint8ClampedArray) => all.map((value, i) => (all[i | 3] || i % 4 === 3 ? value : 0));
  expect(visible(drawn.pixels)).toEqual(visible(pixels));
  expect(own.file!.length).toBeLessThan(400);
  if (process.env.KEEP) writeFileSync(process.env.KEEP, own.file!);
});
