import type { Tensor } from "onnxruntime-web/wasm";
import { hann } from "../model/fourier";
import type { Graph, Weights } from "../model/graph";
import { eigenOf } from "./eigen";
import { clip, fourierMatrix, matrixOf, Past, powers, product, windows } from "./steps";

const [FLOOR, MAX_ENTRY, RAMP, PARTS, SHORT] = [1e-8, 1e12, 1.7, 5, 4];

/** Settings of a waveform layer that its covariances need. */
export interface CovarianceConfig {
  hops: number;
  segment: number;
}

/** Covariances of the coefficients of one frame: of each segment a matrix [dim, dim]. */
export type FrameCovariance = Float64Array[];

/** Low band of a base -> covariances of the coefficients of its frames. */
export class Covariance {
  readonly segments: number;
  readonly dim: number;
  private readonly directions: Float32Array;
  private readonly long: Float32Array;
  private readonly short: Float32Array;
  private readonly shortBins: number;
  private readonly nearness: Float64Array;
  private readonly memory: Record<string, Tensor>;
  private readonly past: Past;

  constructor(
    private readonly config: CovarianceConfig,
    private readonly hop: number,
    private readonly count: number,
    private readonly graph: Graph,
    weights: Weights,
  ) {
    this.segments = Math.floor(count / config.segment);
    this.dim = config.hops * config.segment;
    this.directions = directions(hop, count);
    const sine = Float64Array.from(
      { length: 2 * hop },
      (_, n) => Math.sin((Math.PI / (2 * hop)) * (n + 0.5)) / hop ** 0.5,
    );
    this.shortBins = Math.min(Math.floor(count / 2) + 4, hop / 2 + 1);
    this.long = spectrum(sine, count + 1);
    this.short = spectrum(
      hann(hop).map((x) => (x * 2) / hop),
      this.shortBins,
    );
    const decay = Math.exp(weights("waveform_layer.covariance.decay")!.values[0]!);
    this.nearness = Float64Array.from({ length: this.dim ** 2 }, (_, i) => {
      const [p, q] = [Math.floor(i / this.dim) % config.segment, i % config.segment];
      return Math.exp(-Math.abs(p - q) / decay);
    });
    this.memory = graph.beginning();
    this.past = new Past(hop);
  }

  /** The covariances of all frames, and the windows of the base [frames * hops, 2 * hop]. */
  async next(base: Float32Array): Promise<{ covariances: FrameCovariance[]; parts: Float32Array }> {
    const { hop, count, segments, dim } = this;
    const known = this.past.next(base);
    const parts = windows(known, 2 * hop, hop);
    const hops = base.length / hop;
    const { features, logPower } = this.features(known, parts, hops);
    const inputs = { features: { shape: [1, hops, features.length / hops], values: features } };
    const { told, parts: shares, gain } = await this.graph.run(inputs, this.memory);
    const turns = product(parts, this.directions, 2 * hop); // [hops, 4 * count]
    const frames = hops / this.config.hops;
    const covariances = Array.from({ length: frames }, (_, t) =>
      Array.from({ length: segments }, (_, s) => {
        // Places of the segment's numbers among those of all hops [hops, count].
        const places = Int32Array.from({ length: dim }, (_, i) => {
          const h = Math.floor(i / this.config.segment);
          return (t * this.config.hops + h) * count + s * this.config.segment + (i % this.config.segment);
        });
        const weight = Float64Array.from({ length: PARTS }, (_, p) =>
          Math.exp(shares![(t * segments + s) * PARTS + p]!),
        );
        return this.matrix(places, weight, turns, told!, logPower, gain!);
      }),
    );
    return { covariances, parts };
  }

  private matrix(
    places: Int32Array,
    weight: Float64Array,
    turns: Float32Array,
    told: Float32Array,
    logPower: Float32Array,
    gain: Float32Array,
  ): Float64Array {
    const { dim, count } = this;
    const factor = Float64Array.from(places, (at) => Math.exp(clip(0.5 * (told[at]! + gain[at]!), -6, 6)));
    const pair = (part: number) =>
      Float64Array.from(
        places,
        (at, i) => turns[(Math.floor(at / count) * 4 + part) * count + (at % count)]! * factor[i]!,
      );
    const [real, imag, rampReal, rampImag] = [pair(0), pair(1), pair(2), pair(3)];
    const out = new Float64Array(dim * dim);
    for (let i = 0; i < dim; i++) {
      for (let j = 0; j < dim; j++) {
        const [p, q] = [Math.floor(i / this.config.segment), Math.floor(j / this.config.segment)];
        const opposite = (p + q) % 2 ? -1 : 1;
        const plain = 0.5 * (real[i]! * real[j]! + imag[i]! * imag[j]!);
        const ramp = 0.5 * (rampReal[i]! * rampReal[j]! + rampImag[i]! * rampImag[j]!);
        let value = plain * (weight[0]! + opposite * weight[1]!) + ramp * (weight[2]! + opposite * weight[3]!);
        value *= this.nearness[i * dim + j]!;
        if (i === j) value += weight[4]! * Math.exp(logPower[places[i]!]! + told[places[i]!]!) + FLOOR;
        out[i * dim + j] = Number.isNaN(value) ? 0 : clip(value, -MAX_ENTRY, MAX_ENTRY);
      }
    }
    return out;
  }

  /** What the network hears of the base, and the logarithm of the base's smoothed power [hops, count]. */
  private features(
    known: Float32Array,
    parts: Float32Array,
    hops: number,
  ): { features: Float32Array; logPower: Float32Array } {
    const { hop, count } = this;
    const wide = powers(product(parts, this.long, 2 * hop), count + 1);
    const power = new Float32Array(hops * count);
    for (let i = 0; i < power.length; i++) {
      const at = Math.floor(i / count) * (count + 1) + (i % count);
      power[i] = 0.5 * (wide[at]! + wide[at + 1]!);
    }
    const step = hop / SHORT;
    const shorter = powers(product(windows(known.slice(step), hop, step), this.short, hop), this.shortBins);
    const perHop = SHORT * this.shortBins;
    const width = count + perHop;
    const features = new Float32Array(hops * width);
    const logPower = new Float32Array(hops * count);
    for (let n = 0; n < hops; n++) {
      for (let k = 0; k < count; k++) {
        const own = power[n * count + k]!;
        const below = k ? power[n * count + k - 1]! : own;
        const above = k < count - 1 ? power[n * count + k + 1]! : own;
        features[n * width + k] = Math.log(own + FLOOR) * 0.2 + 2;
        logPower[n * count + k] = Math.log((below + own + above) / 3 + FLOOR);
      }
      for (let k = 0; k < perHop; k++) {
        features[n * width + count + k] = Math.sqrt(shorter[n * perHop + k]! + 1e-10) ** 0.4 * 8 - 1;
      }
    }
    return { features, logPower };
  }
}

/** Four transforms of a window, [2 * hop, 4 * count]. */
function directions(hop: number, count: number): Float32Array {
  return matrixOf(2 * hop, 4 * count, (row, column) => {
    const n = row + 0.5;
    const [part, k] = [Math.floor(column / count), (column % count) + 0.5];
    const window = Math.sin((Math.PI / (2 * hop)) * n) * (2 / hop) ** 0.5;
    const angle = (Math.PI / hop) * (n + hop / 2) * k;
    return window * (part % 2 ? Math.sin(angle) : Math.cos(angle)) * (part > 1 ? (n / hop - 1) * RAMP : 1);
  });
}

function spectrum(window: Float64Array, bins: number): Float32Array {
  const size = window.length;
  const full = fourierMatrix(size, size / 2 + 1);
  return matrixOf(
    size,
    2 * bins,
    (n, k) => full[n * (size + 2) + (k < bins ? k : k - bins + size / 2 + 1)]! * window[n]!,
  );
}

/** The transform of one frame that follows from its covariances. */
export class Transform {
  readonly logVariance: Float64Array;
  readonly frequency: Float64Array;
  private readonly vectors: Float64Array[] = [];
  private readonly weights: Float64Array[] = [];
  private readonly variances: Float64Array[] = [];

  constructor(covariance: FrameCovariance, frequency: Float64Array, segment: number, weighting: number) {
    const dim = Math.sqrt(covariance[0]!.length);
    this.logVariance = new Float64Array(covariance.length * dim);
    this.frequency = new Float64Array(covariance.length * dim);
    covariance.forEach((matrix, s) => {
      const variance = Float64Array.from({ length: dim }, (_, i) => Math.max(matrix[i * dim + i]!, FLOOR));
      const weight = variance.map((x) => Math.exp(-0.5 * weighting * Math.log(x)));
      const weighted = matrix.map(
        (x, i) => x * weight[Math.floor(i / dim)]! * weight[i % dim]! + (i % (dim + 1) ? 0 : FLOOR * 0.1),
      );
      const { values, vectors } = eigenOf(weighted, dim);
      for (let j = 0; j < dim; j++) {
        // Eigenvectors have two signs; codes need one.
        let [sum, middle] = [0, 0];
        for (let i = 0; i < dim; i++) {
          sum += vectors[i * dim + j]! * Math.cos(1 + 2.4 * i);
          middle += vectors[i * dim + j]! ** 2 * frequency[s * segment + (i % segment)]!;
        }
        if (sum < 0) for (let i = 0; i < dim; i++) vectors[i * dim + j]! *= -1;
        this.frequency[s * dim + j] = middle;
        this.logVariance[s * dim + j] = Math.log(Math.max(values[j]!, 1e-9));
      }
      this.vectors.push(vectors);
      this.weights.push(weight);
      this.variances.push(variance);
    });
  }

  /** Transformed coefficients [segments * dim] -> coefficients, in the same order. */
  inverse(x: Float32Array): Float64Array {
    return this.each(
      x,
      (value) => value,
      (sum, weight) => sum / weight,
    );
  }

  /** Share of the variance of each coefficient, of what is left in each direction. */
  uncoded(left: Float64Array): Float64Array {
    return this.each(
      left,
      (value) => value * value,
      (sum, weight, variance) => sum / (weight * weight) / variance,
    );
  }

  private each(
    x: ArrayLike<number>,
    element: (value: number) => number,
    end: (sum: number, weight: number, variance: number) => number,
  ): Float64Array {
    const dim = this.weights[0]!.length;
    return Float64Array.from({ length: x.length }, (_, at) => {
      const [s, i] = [Math.floor(at / dim), at % dim];
      let sum = 0;
      for (let j = 0; j < dim; j++) sum += element(this.vectors[s]![i * dim + j]!) * x[s * dim + j]!;
      return end(sum, this.weights[s]![i]!, this.variances[s]![i]!);
    });
  }
}
