import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { decodeAudio, encodeAudio } from "../src/josie/audio_payload";
import { blocksOf, readJosie, writeJosie } from "../src/josie/blocks";
import { EntropyTables } from "../src/josie/entropy_tables";
import { writeHeader } from "../src/josie/header";

const VECTORS = new URL("vectors/", import.meta.url);
const there = existsSync(new URL("golden.json", VECTORS));

function bytes(name: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(name, VECTORS)));
}

function numbers(name: string): Uint16Array {
  return new Uint16Array(bytes(name).slice().buffer);
}

const loaded = new Map<string, EntropyTables>();
function tables(model: string): EntropyTables | undefined {
  const path = `models/${model}/entropy.safetensors`;
  if (!existsSync(new URL(path, VECTORS))) return undefined;
  if (!loaded.has(model)) loaded.set(model, new EntropyTables(bytes(path)));
  return loaded.get(model);
}

interface Golden {
  name: string;
  streams: { key: string; shape: number[] }[];
}

const listed: Golden[] = there ? JSON.parse(new TextDecoder().decode(bytes("golden.json"))) : [];
const golden = listed.filter((entry) => entry.name.startsWith("audio"));

describe.skipIf(!there)("golden files", () => {
  test.each(golden.map((entry) => [entry.name, entry] as const))(
    "%s has the codes that Python reads",
    (name, entry) => {
      const file = readJosie(bytes(`${name}.josie`));
      for (const { key, shape } of entry.streams.filter((s) => s.key.endsWith("codes"))) {
        const index = Number(key.split(".")[0]);
        const info = file.header.streams[index]!;
        const found: number[] = [];
        for (const block of blocksOf(file, index)) {
          const { values } = decodeAudio(
            block.coding,
            block.payload,
            block.units,
            info.levels,
            info.codebookSize,
            tables(info.model),
          );
          found.push(...values);
        }
        expect(found.length).toBe(shape[0]! * shape[1]!);
        expect(Uint16Array.from(found)).toEqual(numbers(`${name}.${key}.bin`));
      }
      expect(file.problems.length > 0).toBe(name.includes("cut_off"));
    },
  );

  test.each(golden.filter((g) => !/cut_off|version_1|marked|stereo/.test(g.name)).map((g) => g.name))(
    "%s written again is the same bytes",
    (name) => {
      const data = bytes(`${name}.josie`);
      const file = readJosie(data);
      const info = file.header.streams[0]!;
      const blocks = file.blocks.map((block) => {
        const codes = decodeAudio(block.coding, block.payload, block.units, info.levels, 2048, tables(info.model));
        return { ...block, ...encodeAudio(codes, 2048, tables(info.model)) };
      });
      expect(writeJosie(writeHeader(info), blocks)).toEqual(data);
    },
  );
});
