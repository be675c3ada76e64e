import { InferenceSession, Tensor } from "onnxruntime-web/wasm";
import { productGraph, withWeights } from "./onnx_file";

/** Weights of a model by their names in its files, with their shapes. */
export type Weights = (name: string) => { shape: number[]; values: Float32Array } | undefined;

/** What the file beside a graph says. */
interface Description {
  weights: Record<string, [string, number[]]>;
  memory: Record<string, number[]>;
}

/** Numbers of some shape; whole ones of 64 bits where a graph wants those. */
export interface Values {
  shape: number[];
  values: Float32Array | BigInt64Array;
}

/** One direction of a codec: a step of a stream, whose memory goes in and comes out. */
export class Graph {
  private constructor(
    private readonly session: InferenceSession,
    private readonly memory: Record<string, number[]>,
  ) {}

  /** Opens a graph with the weights of a model. The runtime does not check names and shapes, so this does. */
  static async open(file: Uint8Array, description: Description, weights: Weights): Promise<Graph> {
    const data = withWeights(file, (name) => {
      const [short, shape] = description.weights[name] ?? ["", []];
      const found = weights(short);
      if (!found || found.shape.join() !== shape.join()) throw new Error(`the graph does not fit the model: ${name}`);
      return found.values;
    });
    const session = await InferenceSession.create(data, { executionProviders: ["wasm"], logSeverityLevel: 3 });
    return new Graph(session, description.memory);
  }

  /** The memory at the beginning of a stream. */
  beginning(): Record<string, Tensor> {
    const entries = Object.entries(this.memory).map(([part, shape]) => [`past.${part}`, zeros(shape)] as const);
    return Object.fromEntries(entries);
  }

  /** What comes out, by name; `memory` is changed to that of the next step. */
  async run(inputs: Record<string, Values>, memory: Record<string, Tensor>): Promise<Record<string, Float32Array>> {
    const given = Object.entries(inputs).map(([name, { shape, values }]) => [name, tensorOf(values, shape)] as const);
    const found = await this.session.run({ ...Object.fromEntries(given), ...memory });
    const out: Record<string, Float32Array> = {};
    for (const [name, tensor] of Object.entries(found)) {
      if (name.startsWith("next.")) memory[name.replace("next.", "past.")] = tensor as Tensor;
      else out[name] = tensor.data as Float32Array;
    }
    return out;
  }
}

function tensorOf(values: Float32Array | BigInt64Array, shape: number[]): Tensor {
  return values instanceof Float32Array ? new Tensor("float32", values, shape) : new Tensor("int64", values, shape);
}

function zeros(shape: number[]): Tensor {
  return new Tensor("float32", new Float32Array(shape.reduce((all, n) => all * n, 1)), shape);
}

/** Products of matrices, by the runtime's kernels. */
export class Product {
  private constructor(private readonly session: InferenceSession) {}

  static async open(): Promise<Product> {
    return new Product(await InferenceSession.create(productGraph(), { executionProviders: ["wasm"] }));
  }

  /** x [n, D] times y [D, S], as [n, S]. */
  async run(x: Float32Array, y: Float32Array, inner: number): Promise<Float32Array> {
    const feeds = {
      x: new Tensor("float32", x, [x.length / inner, inner]),
      y: new Tensor("float32", y, [inner, y.length / inner]),
    };
    return (await this.session.run(feeds)).z!.data as Float32Array;
  }
}
