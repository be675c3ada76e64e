import { ByteReader, ByteWriter } from "./bytes";
import type { EntropyTables } from "./entropy_tables";
import { check } from "./errors";
import { codeBits, packCodes, unpackCodes } from "./fixed_codes";
import { codesOf, decodePatchCodes, encodePatchCodes, type PatchGrid } from "./patch_codes";
import { codeMap } from "./patch_map";
import { RangeDecoder, RangeEncoder } from "./range_coder";

/** What a block of vision holds. */
export interface PatchBlock extends PatchGrid {
  /** Patch after patch, levels in order. */
  codes: Uint16Array;
  /** Of a detail layer. */
  detail?: Uint8Array;
  /** Of patches of few colours. */
  screen?: Uint8Array;
}

/** Levels and codebook size of a stream. */
export interface Codebooks {
  levels: number;
  codebookSize: number;
}

const RANGE_CODED = [3, 5, 8];
const WITH_DETAIL = [4, 5, 7, 8];
const WITH_SCREEN = [7, 8];

/** Whether codes of a coding need the tables of the model. */
export function needsPatchTables(coding: number): boolean {
  return RANGE_CODED.includes(coding);
}

/** The patches of a block of payload codings 1, 3, 4, 5, 7 and 8. */
export function decodePatches(
  coding: number,
  payload: Uint8Array,
  rows: number,
  columns: number,
  books: Codebooks,
  tables: EntropyTables | undefined,
): PatchBlock {
  const reader = new ByteReader(payload);
  const part = () => reader.bytes(reader.varint(payload.length));
  const screen = WITH_SCREEN.includes(coding) ? part() : undefined;
  check(screen?.length !== 0, "no patches of few colours where there should be some");
  const detail = WITH_DETAIL.includes(coding) ? part() : undefined;
  const decoder = new RangeDecoder(part());
  const size = rows * columns;
  const grid = { rows, columns, modes: new Uint8Array(size), counts: new Uint8Array(size) };
  codeMap(decoder, rows, columns, books.levels, grid);
  check(decoder.ended, "bytes behind the map of patches");
  const rest = reader.bytes(reader.left);
  let codes: Uint16Array;
  if (needsPatchTables(coding)) {
    check(tables !== undefined, "its codes need the tables of its model");
    codes = decodePatchCodes(rest, grid, tables);
  } else codes = unpackCodes(rest, codesOf(grid), books.codebookSize);
  return { ...grid, codes, detail, screen };
}

/** Payload and coding of a block; its codes are range coded if that is smaller. */
export function encodePatches(
  block: PatchBlock,
  books: Codebooks,
  tables: EntropyTables | undefined,
): { coding: number; payload: Uint8Array } {
  const { detail, screen } = block;
  const out = new ByteWriter();
  const part = (data: Uint8Array) => {
    out.varint(data.length);
    out.bytes(data);
  };
  const encoder = new RangeEncoder();
  codeMap(encoder, block.rows, block.columns, books.levels, block);
  const coded = tables && encodePatchCodes(block.codes, block, tables);
  const shorter =
    coded !== undefined && coded.length < Math.ceil((block.codes.length * codeBits(books.codebookSize)) / 8);
  if (screen?.length) part(screen);
  if (detail || screen?.length) part(detail ?? new Uint8Array(0));
  part(encoder.finish());
  out.bytes(shorter ? coded : packCodes(block.codes, books.codebookSize));
  const kind = screen?.length ? 2 : detail ? 1 : 0;
  return { coding: [1, 4, 7][kind] + (shorter ? (kind ? 1 : 2) : 0), payload: out.done() };
}
