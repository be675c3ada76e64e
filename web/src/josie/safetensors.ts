import { check, JosieError } from "./errors";

/** A tensor of a safetensors file: its shape, and its numbers as they lie there. */
export interface Tensor {
  type: string;
  shape: number[];
  data: Uint8Array;
}

const SIZES: Record<string, number> = { U8: 1, I8: 1, U16: 2, I16: 2, F16: 2, I32: 4, F32: 4, I64: 8 };
const MAX_HEADER = 2 ** 24;

/** The tensors of a file by their names. */
export function readTensors(file: Uint8Array): Map<string, Tensor> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  check(file.length >= 8 && view.getUint32(4, true) === 0, "a file of weights has no header");
  const size = view.getUint32(0, true);
  check(size <= Math.min(MAX_HEADER, file.length - 8), "the header of a file of weights is cut off");
  const header = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + size)));
  const found = new Map<string, Tensor>();
  for (const [name, entry] of Object.entries<{ dtype: string; shape: number[]; data_offsets: number[] }>(header)) {
    if (name === "__metadata__") continue;
    const [first, last] = entry.data_offsets as [number, number];
    const bytes = entry.shape.reduce((all, n) => all * n, SIZES[entry.dtype] ?? Number.NaN);
    check(last - first === bytes && 8 + size + last <= file.length, `the tensor ${name} has another size`);
    found.set(name, { type: entry.dtype, shape: entry.shape, data: file.subarray(8 + size + first, 8 + size + last) });
  }
  return found;
}

/** The numbers of a tensor of single precision or half, as single precision. */
export function floats(tensor: Tensor): Float32Array<ArrayBuffer> {
  const bytes = aligned(tensor.data);
  if (tensor.type === "F32") return new Float32Array(bytes);
  if (tensor.type !== "F16") throw new JosieError(`weights of type ${tensor.type}`);
  const halves = new Uint16Array(bytes);
  const out = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) out[i] = HALVES[halves[i]!]!;
  return out;
}

/** The numbers of a tensor of whole ones. */
export function integers(tensor: Tensor): Float64Array {
  const bytes = aligned(tensor.data);
  switch (tensor.type) {
    case "U8":
      return Float64Array.from(new Uint8Array(bytes));
    case "I8":
      return Float64Array.from(new Int8Array(bytes));
    case "U16":
      return Float64Array.from(new Uint16Array(bytes));
    case "I16":
      return Float64Array.from(new Int16Array(bytes));
    case "I32":
      return Float64Array.from(new Int32Array(bytes));
    default:
      throw new JosieError(`whole numbers of type ${tensor.type}`);
  }
}

function aligned(data: Uint8Array): ArrayBuffer {
  return data.slice().buffer as ArrayBuffer;
}

/** All numbers of half precision. */
const HALVES = Float32Array.from({ length: 2 ** 16 }, (_, bits) => {
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent ? sign * 2 ** (exponent - 15) * (1 + fraction / 1024) : sign * 2 ** -24 * fraction;
});
