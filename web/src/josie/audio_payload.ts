import type { LevelTable } from "./code_tables";
import type { EntropyTables } from "./entropy_tables";
import { check } from "./errors";
import { packCodes, unpackCodes } from "./fixed_codes";
import { RangeDecoder, RangeEncoder } from "./range_coder";

/** Codes [frames, levels] of one block. */
export interface Codes {
  frames: number;
  levels: number;
  values: Uint16Array;
}

/** A mark: the phase of the pulse train before the block, in turns / 2^32, with so many levels of the base. */
export interface Mark {
  levels: number;
  phase: number;
}

const MARK = 5;

/** Whether codes of a coding need the tables of the model. */
export function needsTables(coding: number): boolean {
  return coding === 2 || coding === 10;
}

/** Codes of a block of audio, of payload codings 0, 2, 9 and 10. */
export function decodeAudio(
  coding: number,
  payload: Uint8Array,
  frames: number,
  levels: number,
  codebookSize: number,
  tables: EntropyTables | undefined,
): Codes & { mark?: Mark } {
  let [data, mark]: [Uint8Array, Mark | undefined] = [payload, undefined];
  if (coding >= 9) {
    check(payload.length >= MARK, "a mark is cut off");
    const view = new DataView(payload.buffer, payload.byteOffset);
    mark = { levels: payload[0]!, phase: view.getUint32(1, true) };
    check(mark.levels >= 1 && mark.levels <= 64, "a mark of no levels");
    data = payload.subarray(MARK);
  }
  const values = needsTables(coding)
    ? decodeRange(data, frames, levels, tables)
    : unpackCodes(data, frames * levels, codebookSize);
  return mark ? { frames, levels, values, mark } : { frames, levels, values };
}

/** Codes of a block of which every frame has all levels; range coded if that is smaller. */
export function encodeAudio(
  codes: Codes,
  codebookSize: number,
  tables: EntropyTables | undefined,
): { coding: number; payload: Uint8Array } {
  const fixed = packCodes(codes.values, codebookSize);
  if (!tables) return { coding: 0, payload: fixed };
  const coded = encodeRange(codes, tables);
  return coded.length < fixed.length ? { coding: 2, payload: coded } : { coding: 0, payload: fixed };
}

function decodeRange(data: Uint8Array, frames: number, levels: number, tables: EntropyTables | undefined): Uint16Array {
  check(tables !== undefined, "its codes need the tables of its model");
  check(levels <= tables.levels.length, `${levels} levels, of which the model knows ${tables.levels.length}`);
  check(frames * levels <= 8 * data.length, `${data.length} bytes for ${frames * levels} codes`);
  const decoder = new RangeDecoder(data);
  const values = new Uint16Array(frames * levels);
  const modelled = Math.min(levels, tables.context?.levels ?? 0);
  if (tables.context) {
    const all = tables.context.levels;
    const found = tables.context.decode(decoder, row(frames, levels));
    for (let f = 0; f < frames; f++) values.set(found.subarray(f * all, f * all + modelled), f * levels);
  }
  visitStatic(values, frames, levels, modelled, tables, (table, _, a, b) => table.decode(decoder, a, b));
  // A decoder that has read less than there is was given something else; zeros only fill the payload up.
  check(
    data.subarray(Math.min(decoder.position, data.length)).every((byte) => byte === 0),
    "bytes behind the last code",
  );
  return values;
}

function encodeRange(codes: Codes, tables: EntropyTables): Uint8Array {
  const { frames, levels, values } = codes;
  const encoder = new RangeEncoder();
  const modelled = Math.min(levels, tables.context?.levels ?? 0);
  tables.context?.encode(encoder, row(frames, levels), values, levels);
  visitStatic(values, frames, levels, modelled, tables, (table, code, a, b) => {
    table.encode(encoder, code, a, b);
    return code;
  });
  const data = encoder.finish();
  const least = Math.ceil((frames * levels) / 8);
  if (data.length >= least) return data;
  const padded = new Uint8Array(least);
  padded.set(data);
  return padded;
}

/** Goes through the codes of the levels that static tables code, in order, with both contexts of each. */
function visitStatic(
  values: Uint16Array,
  frames: number,
  levels: number,
  first: number,
  tables: EntropyTables,
  code: (table: LevelTable, code: number, a: number, b: number) => number,
): void {
  for (let f = 0; f < frames; f++) {
    for (let k = first; k < levels; k++) {
      const [table, at] = [tables.levels[k]!, f * levels + k];
      const [none, noneBefore] = [table.contexts[0] - 1, table.contexts[1] - 1];
      const a = f ? table.classOf[values[at - levels]!]! : none;
      const b = k ? tables.levels[k - 1]!.classOf[values[at - 1]!]! : noneBefore;
      values[at] = code(table, values[at]!, a, b);
    }
  }
}

/** Frames as a grid of one row. */
function row(frames: number, levels: number) {
  return { rows: 1, columns: frames, counts: new Uint8Array(frames).fill(levels) };
}
