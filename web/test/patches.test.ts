import { describe, expect, test } from "vitest";
import { decodeAlpha, encodeAlpha } from "../src/josie/alpha_payload";
import { blocksOf, readJosie, writeJosie } from "../src/josie/blocks";
import { JosieError } from "../src/josie/errors";
import { writeHeader } from "../src/josie/header";
import { decodePatches, encodePatches, needsPatchTables } from "../src/josie/patch_payload";
import { decodeScreen, encodeScreen, type Screen } from "../src/josie/screen_payload";
import { PictureFiles } from "../src/picture/model";
import { bytes, exists, fetcher, images, noise, there, unsigned } from "./files";

describe.skipIf(!there)("golden pictures", () => {
  test.each(images)("%s has the codes that Python reads, and is written again", async (name) => {
    const data = bytes(`${name}.josie`);
    const file = readJosie(data);
    const blocks: typeof file.blocks = [];
    for (const [index, info] of file.header.streams.entries()) {
      const found: number[] = [];
      const maps: number[][] = [[], []];
      const { width, patch } = info.vision!;
      for (const block of blocksOf(file, index)) {
        const { coding, payload, units } = block;
        if (info.kind === "alpha") {
          const alpha = decodeAlpha(payload, units, width);
          found.push(...alpha);
          blocks.push({ ...block, payload: encodeAlpha(alpha, units, width) });
          continue;
        }
        const tables = needsPatchTables(coding) ? await (await PictureFiles.find(fetcher, info)).tables() : undefined;
        const own = decodePatches(coding, payload, units, Math.ceil(width / patch), info, tables);
        found.push(...own.codes);
        maps[0].push(...own.modes);
        maps[1].push(...own.counts);
        blocks.push({ ...block, ...encodePatches(own, info, tables) });
      }
      expect(Uint16Array.from(found)).toEqual(unsigned(`${name}.${index}.codes.bin`));
      if (info.kind === "alpha") continue;
      expect(Uint8Array.from(maps[0])).toEqual(new Uint8Array(bytes(`${name}.${index}.modes.bin`)));
      expect(Uint8Array.from(maps[1])).toEqual(new Uint8Array(bytes(`${name}.${index}.counts.bin`)));
    }
    expect(file.problems).toEqual([]);
    if (exists(`${name}.0.pixels.bin`)) {
      const all = file.blocks.map(({ stream, first }) => blocks.find((b) => b.stream === stream && b.first === first)!);
      expect(writeJosie(writeHeader(...file.header.streams), all)).toEqual(new Uint8Array(data));
    }
  });
});

test("patches of few colours, written and read", () => {
  for (const colors of [1, 2, 7, 255]) {
    const random = noise(colors);
    const [rows, columns, patch] = [3, 4, 16];
    const patches = Uint8Array.from({ length: rows * columns }, (_, i) => (i === 5 || random() < 0.2 ? 0 : 1));
    const palette = Uint8Array.from({ length: 3 * colors }, () => Math.floor(256 * random()));
    const screen: Screen = { patches, palette, indexes: new Uint8Array(rows * columns * patch * patch).fill(colors) };
    const width = columns * patch;
    screen.indexes.forEach((_, at) => {
      const [y, x] = [Math.floor(at / width), at % width];
      if (!patches[Math.floor(y / patch) * columns + Math.floor(x / patch)]) return;
      const flat = Math.floor(x / 9) + Math.floor(y / 5);
      screen.indexes[at] = random() < 0.1 ? Math.floor(colors * random()) : flat % colors;
    });
    const data = encodeScreen(screen, rows, columns, patch);
    expect(decodeScreen(data, rows, columns, patch)).toEqual(screen);
    expect(() => decodeScreen(Uint8Array.from([...data, 1, 2, 3, 4, 5, 6, 7, 8]), rows, columns, patch)).toThrow(
      JosieError,
    );
  }
});

test("alpha of any values, written and read", () => {
  const random = noise(3);
  const [rows, width] = [9, 300];
  const cases = [
    new Uint8Array(rows * width).fill(255),
    Uint8Array.from({ length: rows * width }, (_, i) => (i % width) - 20),
    Uint8Array.from({ length: rows * width }, () => Math.floor(256 * random())),
    Uint8Array.from({ length: rows * width }, (_, i) => (i % 7 ? 0 : 255)),
  ];
  for (const alpha of cases) expect(decodeAlpha(encodeAlpha(alpha, rows, width), rows, width)).toEqual(alpha);
});
