import { bytesField, concat, fields, numberField, textField } from "./proto";

// Numbers of fields in ONNX's messages.
const MODEL = { version: 1, graph: 7, opset: 8 };
const GRAPH = { node: 1, name: 2, initializer: 5, input: 11, output: 12 };
const TENSOR = { name: 8, raw: 9, external: 13, location: 14 };
const EXTERNAL = 1;

/** The file of a graph with its weights in it, of one whose weights lie elsewhere. */
export function withWeights(file: Uint8Array, weights: (name: string) => Float32Array): Uint8Array<ArrayBuffer> {
  return mapped(file, MODEL.graph, (graph) => mapped(graph, GRAPH.initializer, (tensor) => filled(tensor, weights)));
}

/** A message with the fields of one number changed. */
function mapped(
  message: Uint8Array,
  number: number,
  change: (data: Uint8Array) => Uint8Array,
): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  for (const field of fields(message)) {
    parts.push(field.number === number ? bytesField(number, change(field.data!)) : field.raw);
  }
  return concat(...parts);
}

function filled(tensor: Uint8Array, weights: (name: string) => Float32Array): Uint8Array {
  const all = [...fields(tensor)];
  if (!all.some((field) => field.number === TENSOR.location && field.value === EXTERNAL)) return tensor;
  const name = new TextDecoder().decode(all.find((field) => field.number === TENSOR.name)!.data!);
  const values = weights(name);
  const kept = all.filter((field) => field.number !== TENSOR.external && field.number !== TENSOR.location);
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return concat(...kept.map((field) => field.raw), bytesField(TENSOR.raw, bytes));
}

/** A graph that multiplies matrices x [n, D] and y [D, S]. */
export function productGraph(): Uint8Array<ArrayBuffer> {
  const value = (name: string, rows: string, columns: string) => {
    const dims = [rows, columns].map((size) => bytesField(1, textField(2, size)));
    return concat(textField(1, name), bytesField(2, bytesField(1, numberField(1, 1), bytesField(2, ...dims))));
  };
  const node = concat(textField(1, "x"), textField(1, "y"), textField(2, "z"), textField(4, "MatMul"));
  const graph = concat(
    bytesField(GRAPH.node, node),
    textField(GRAPH.name, "product"),
    bytesField(GRAPH.input, value("x", "n", "d")),
    bytesField(GRAPH.input, value("y", "d", "s")),
    bytesField(GRAPH.output, value("z", "n", "s")),
  );
  return concat(
    numberField(MODEL.version, 8),
    bytesField(MODEL.graph, graph),
    bytesField(MODEL.opset, textField(1, ""), numberField(2, 13)),
  );
}
