import type { EntropyTables } from "./entropy_tables";
import { check } from "./errors";
import type { PatchMap } from "./patch_map";
import { RangeDecoder, RangeEncoder } from "./range_coder";

/** More than any class: tables take it for "none". */
const NONE = 2 ** 20;

/** A grid of patches whose codes follow each other, patch after patch. */
export interface PatchGrid extends PatchMap {
  rows: number;
  columns: number;
}

/** How many codes a grid has. */
export function codesOf(map: PatchMap): number {
  return map.counts.reduce((sum, count) => sum + count, 0);
}

/** Class of the number of levels that remain in a patch. */
function remainingClass(levels: number): number {
  if (levels <= 1) return 0;
  return [1, 2, 3, 4, 4, 5, 5, 5, 6, 6, 6, 6, 6][levels - 2] ?? 7;
}

/** Range-coded codes of patches. */
export function decodePatchCodes(data: Uint8Array, grid: PatchGrid, tables: EntropyTables): Uint16Array {
  const total = codesOf(grid);
  check(total <= 8 * data.length, `${data.length} bytes for ${total} codes`);
  const most = grid.counts.reduce((sum, count, at) => Math.max(sum, count + tables.starts[grid.modes[at]]), 0);
  check(most <= tables.levels.length, "more levels than the model has");
  const decoder = new RangeDecoder(data);
  const codes = new Uint16Array(total);
  const first = tables.context?.decode(decoder, contextGrid(grid, tables));
  const modelled = tables.context?.levels ?? 0;
  visit(grid, tables, (table, at, place, level, a, b) => {
    codes[at] = table ? table.decode(decoder, a, b) : first![place * modelled + level];
    return codes[at];
  });
  const rest = data.subarray(Math.min(decoder.position, data.length));
  const padded = rest.every((byte) => byte === 0) && (!rest.length || data.length <= Math.ceil(total / 8));
  check(padded, "bytes behind the last code");
  return codes;
}

/** The inverse of `decodePatchCodes`. */
export function encodePatchCodes(codes: Uint16Array, grid: PatchGrid, tables: EntropyTables): Uint8Array {
  const encoder = new RangeEncoder();
  const { context } = tables;
  if (context) {
    const given = new Uint16Array(grid.counts.length * context.levels);
    let at = 0;
    grid.counts.forEach((count, place) => {
      for (let k = 0; k < Math.min(count, context.levels); k++) given[place * context.levels + k] = codes[at + k];
      at += count;
    });
    context.encode(encoder, contextGrid(grid, tables), given, context.levels);
  }
  visit(grid, tables, (table, at, _place, _level, a, b) => {
    table?.encode(encoder, codes[at], a, b);
    return codes[at];
  });
  const data = encoder.finish();
  const padded = new Uint8Array(Math.max(data.length, Math.ceil(codes.length / 8)));
  padded.set(data);
  return padded;
}

/** What the context model codes: patches that begin with another level have none for it. */
function contextGrid(grid: PatchGrid, tables: EntropyTables) {
  const counts = grid.counts.map((count, at) => (tables.starts[grid.modes[at]] === 0 ? count : 0));
  return { rows: grid.rows, columns: grid.columns, counts };
}

/** Goes through all codes with their contexts; those of the context model have no table. */
function visit(
  grid: PatchGrid,
  tables: EntropyTables,
  code: (
    table: EntropyTables["levels"][number] | undefined,
    at: number,
    place: number,
    level: number,
    a: number,
    b: number,
  ) => number,
): void {
  const { columns, modes, counts } = grid;
  const modelled = tables.context?.levels ?? 0;
  const above = new Float64Array(columns).fill(NONE); // classes of the first level
  let [at, left] = [0, NONE];
  counts.forEach((count, place) => {
    const column = place % columns;
    if (!column) left = NONE;
    const first = tables.starts[modes[place]];
    let [a, b] = first === 0 ? [left, above[column]] : [NONE, remainingClass(count - 1)];
    let own = NONE;
    for (let k = 0; k < count; k++, at++) {
      const table = tables.levels[first + k];
      const plain = first === 0 && k < modelled;
      a = table.classOf[code(plain ? undefined : table, at, place, k, a, b)];
      if (first + k === 0) own = a;
      b = remainingClass(count - k - 2);
    }
    left = above[column] = own;
  });
}
