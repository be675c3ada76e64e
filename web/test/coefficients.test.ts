import { expect, test } from "vitest";
import { JosieError } from "../src/josie/errors";
import { RangeDecoder, RangeEncoder } from "../src/josie/range_coder";
import { CoefficientBits } from "../src/picture/coefficient_bits";
import { passesOf } from "../src/picture/detail_network";
import { chooseDependent, sizeBits } from "../src/picture/trellis";
import { noise } from "./files";

const SCALES = 40;
const [ROWS, COLUMNS] = [4, 6];
const random = noise(1);
const uniform = (count: number, least: number, most: number) =>
  Float64Array.from({ length: count }, () => Math.floor(least + (most - least) * random()));
const tables = {
  decisions: uniform(2 * SCALES * 15, -1500, 1500),
  chances: uniform(3 * 8 * (6 * SCALES + 192 + 64), 1000, 64000),
  mixing: uniform(3 * 3 * 8 * 7, -5000, 30000),
};
const passes = passesOf([
  [6, 21, 64],
  [1, 6, 64],
]);

test("coefficients that depend on those before, written and read", () => {
  const encoder = new RangeEncoder();
  const writer = new CoefficientBits(tables, ROWS, COLUMNS);
  const wanted = Float32Array.from({ length: ROWS * COLUMNS * 192 }, () => 40 * (random() - 0.5) ** 3);
  wanted.fill(-5000, 0, 9); // more than a size can be
  const price = new Float32Array(wanted.length).fill(0.125);
  const all = passes.map((members, number) => {
    const scales = Int16Array.from({ length: ROWS * COLUMNS * members.length }, () => Math.floor(45 * random()) - 5);
    for (let i = 0; i < scales.length; i++) scales[i] = Math.max(-1, scales[i]);
    const bits = sizeBits(tables.decisions, 12);
    const chosen = chooseDependent(wanted, members, scales, price, bits, SCALES, 15 + 4095);
    writer.pass(encoder, number, members, scales, chosen.symbols.slice());
    return { members, scales, ...chosen };
  });
  const data = encoder.finish();
  const decoder = new RangeDecoder(data);
  const reader = new CoefficientBits(tables, ROWS, COLUMNS);
  all.forEach(({ members, scales, symbols, levels }, number) => {
    const found = reader.pass(decoder, number, members, scales);
    expect(found.symbols).toEqual(symbols);
    expect(found.levels).toEqual(levels);
    expect(found.symbols.some((symbol) => symbol !== 0)).toBe(true);
  });
  expect(decoder.ended).toBe(true);
});

test("probabilities out of range", () => {
  const chances = tables.chances.slice();
  chances[7] = 65536;
  expect(() => new CoefficientBits({ ...tables, chances }, ROWS, COLUMNS)).toThrow(JosieError);
  expect(() => new CoefficientBits({ ...tables, chances: chances.slice(1) }, ROWS, COLUMNS)).toThrow(JosieError);
});
