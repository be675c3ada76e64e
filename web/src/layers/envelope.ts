import type { Tensor } from "onnxruntime-web/wasm";
import { hann } from "../model/fourier";
import type { Graph, Weights } from "../model/graph";
import { ShapedCodes, varianceLeft } from "./shaped_codes";
import { clip, fourierMatrix, matrixOf, Past, powers, product, windows } from "./steps";

const FLOOR = 1e-6;
const MAX_GAIN = 3.5;

/** Settings of an envelope layer, of `config.json`. */
export interface EnvelopeConfig {
  positions: number[];
  hop: number;
  heard: number[];
  coded: number[];
  efficiency: number;
  seed: number;
}

/** Codes and base -> the base with other envelopes, a hop late. */
export class EnvelopeDecoder {
  readonly late: number;
  private readonly bins: number;
  private readonly coded: number;
  private readonly dim: number;
  private readonly bits: number;
  private readonly analysis: Float32Array;
  private readonly window: Float32Array;
  private readonly synthesis: Float32Array;
  private readonly bands: Float32Array;
  private readonly drawn: Float32Array;
  private readonly axes: Float32Array;
  private readonly centre: Float32Array;
  private readonly logVariance: Float32Array;
  private readonly codes: ShapedCodes;
  private readonly memory: Record<string, Tensor>;
  private readonly heard: Past;
  private readonly past: Past;
  private readonly tail: Past;

  constructor(
    config: EnvelopeConfig,
    sampleRate: number,
    frameSize: number,
    codebookSize: number,
    private readonly graph: Graph,
    weights: Weights,
  ) {
    const { hop, coded, heard } = config;
    const size = 2 * hop;
    this.late = hop;
    this.coded = coded.length;
    this.bins = hop + 1;
    this.dim = (frameSize / hop) * coded.length;
    this.bits = Math.log2(codebookSize) * config.efficiency;
    const matrix = fourierMatrix(size, this.bins);
    const weight = hann(size);
    const columns = 2 * this.bins;
    this.analysis = matrix.map((x, i) => x * weight[Math.floor(i / columns)]!);
    this.window = matrix.map((x, i) => x * Math.sqrt(weight[Math.floor(i / columns)]!));
    this.synthesis = matrixOf(columns, size, (k, n) => {
      const bin = k % this.bins;
      const twice = bin === 0 || bin === hop ? 1 : 2;
      return ((matrix[n * columns + k]! * twice) / size) * Math.sqrt(weight[n]!);
    });
    const edges = [...heard, ...coded, Number.POSITIVE_INFINITY];
    const inside = (bin: number, band: number) => {
      const frequency = (bin * sampleRate) / size;
      return frequency >= edges[band]! && frequency < edges[band + 1]! ? 1 : 0;
    };
    this.bands = matrixOf(this.bins, edges.length - 1, inside);
    this.drawn = matrixOf(coded.length, this.bins, (band, bin) => inside(bin, heard.length + band));
    const named = (name: string) => weights(`envelope_layer.${name}`)!.values;
    const axes = named("axes");
    this.axes = matrixOf(this.dim, this.dim, (i, j) => axes[j * this.dim + i]!);
    this.centre = named("centre");
    this.logVariance = named("log_variance");
    this.codes = new ShapedCodes(this.dim, config.positions.length, codebookSize, 1, config.seed);
    this.memory = graph.beginning();
    this.heard = new Past(hop);
    this.past = new Past(hop);
    this.tail = new Past(size / 2);
  }

  /** Codes [F, L] of the first L levels and base [F * frameSize] -> waveform. */
  async decode(codes: Uint16Array, levels: number, frames: number, base: Float32Array): Promise<Float32Array> {
    const size = 2 * this.late;
    const spectra = product(windows(this.heard.next(base), size, this.late), this.analysis, size);
    const energies = product(powers(spectra, this.bins), this.bands, this.bins);
    const values = energies.map((x) => Math.log(x + FLOOR) * 0.2 - 0.5);
    const inputs = { features: { shape: [1, frames, values.length / frames], values } };
    const expected = (await this.graph.run(inputs, this.memory)).expected!;
    const { dim } = this;
    const mean = new Float32Array(frames * dim);
    const zeros = new Float32Array(dim);
    for (let t = 0; t < frames; t++) {
      mean.set(expected.subarray(2 * t * dim, (2 * t + 1) * dim), t * dim);
      if (!levels) continue;
      const variance = this.logVariance.map((x, d) => x + expected[(2 * t + 1) * dim + d]!);
      const left = varianceLeft(variance, levels, [{ until: levels, edge: 1, drop: 0 }], zeros, zeros, this.bits);
      const added = this.codes.decode(codes.subarray(t * levels, (t + 1) * levels), left);
      for (let d = 0; d < dim; d++) mean[t * dim + d]! += added[d]!;
    }
    const gains = product(mean, this.axes, dim).map((x, i) => x + this.centre[i % dim]!);
    return this.changed(base, gains);
  }

  /** The last samples. */
  finish(): Float32Array {
    return this.changed(new Float32Array(this.late), new Float32Array(this.coded));
  }

  private changed(base: Float32Array, gains: Float32Array): Float32Array {
    const [hop, bins] = [this.late, this.bins];
    const size = 2 * hop;
    const parts = windows(this.past.next(base), size, hop);
    const bounded = gains.map((x) => clip(x, -MAX_GAIN, MAX_GAIN));
    const factors = product(bounded, this.drawn, this.coded).map(Math.exp);
    const spectra = product(parts, this.window, size).map(
      (x, i) => x * factors[Math.floor(i / (2 * bins)) * bins + (i % bins)]!,
    );
    return overlapped(product(spectra, this.synthesis, 2 * bins), hop, this.tail);
  }
}

/** Windows of two hops -> the sums of the new half of each and the old one of that before, [n * hop]. */
export function overlapped(rows: Float32Array, hop: number, tail: Past): Float32Array {
  const count = rows.length / (2 * hop);
  const old = new Float32Array(count * hop);
  for (let n = 0; n < count; n++) old.set(rows.subarray((2 * n + 1) * hop, (2 * n + 2) * hop), n * hop);
  const before = tail.next(old);
  const out = new Float32Array(count * hop);
  for (let i = 0; i < out.length; i++) {
    const n = Math.floor(i / hop);
    out[i] = rows[2 * n * hop + (i - n * hop)]! + before[i]!;
  }
  return out;
}
