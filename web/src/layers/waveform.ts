import type { Graph, Weights } from "../model/graph";
import { joined } from "../model/spectra";
import { Covariance, type CovarianceConfig, type FrameCovariance, Transform } from "./covariance";
import {
  Decimator,
  decimationDelay,
  type FilterConfig,
  Interpolator,
  InverseMdct,
  LowBandFilter,
  leastDelay,
  mdctMatrix,
} from "./low_band";
import { type BandStep, ShapedCodes, varianceLeft } from "./shaped_codes";
import { clip, Delay, product } from "./steps";

const [ALL_BASE, RAMP, ROW] = [0.8, 0.15, 16];

/** Settings of a waveform layer, of `config.json`. */
export interface WaveformConfig extends CovarianceConfig {
  levels: number;
  decimation: number;
  cutoff: number;
  taper: number;
  weighting: number;
  efficiency: number;
  schedule: BandStep[];
  fill: number;
  filter: FilterConfig | null;
  codebooks: string;
  books: number;
  seed: number;
  by_frame: boolean;
  min_levels: number;
}

/** Codes and base -> waveform, `lag` frames late. */
export class WaveformDecoder {
  private readonly hop: number;
  private readonly bits: number;
  private readonly frequency: Float64Array;
  private readonly taper: Float64Array;
  private readonly decimate: Decimator;
  private readonly covariance: Covariance;
  private readonly mdct: Float32Array;
  private readonly codes: ShapedCodes;
  private readonly inverse: InverseMdct;
  private readonly delayBase: Delay;
  private readonly filter: LowBandFilter | undefined;
  private readonly delayChange: Delay | undefined;
  private readonly delayShares: Delay | undefined;
  private readonly lag: number;
  private readonly interpolate: Interpolator;
  private waiting = new Float32Array(0);

  constructor(
    private readonly config: WaveformConfig,
    sampleRate: number,
    private readonly frameSize: number,
    codebookSize: number,
    graphs: Record<string, Graph>,
    weights: Weights,
  ) {
    const { decimation, hops, cutoff, filter } = config;
    const hop = frameSize / (decimation * hops);
    this.hop = hop;
    const lowRate = sampleRate / decimation;
    const spacing = lowRate / (2 * hop);
    const count = Math.floor(cutoff / spacing);
    this.bits = Math.log2(codebookSize) * config.efficiency;
    this.frequency = Float64Array.from({ length: count }, (_, k) => (k + 0.5) * spacing);
    this.taper = this.frequency.map((x) => clip((cutoff - x) / config.taper, 0, 1));
    let row = ROW;
    while ((hop * hops) % row) row /= 2;
    this.decimate = new Decimator(decimation, row);
    this.covariance = new Covariance(config, hop, count, graphs.waveform!, weights);
    this.mdct = mdctMatrix(hop, count);
    this.codes = new ShapedCodes(hops * count, config.levels, codebookSize, config.books, config.seed);
    this.inverse = new InverseMdct(hop, count);
    this.delayBase = new Delay(hop);
    let late = decimationDelay(decimation) + hop * decimation;
    if (filter) {
      const scale = weights("waveform_layer.filter.scale")!.values;
      this.filter = new LowBandFilter(filter, lowRate, cutoff, graphs.filter!, scale);
      this.delayChange = new Delay(filter.window - filter.hop);
      this.delayShares = new Delay(filter.window / (2 * filter.hop) - 1);
      late += (filter.window - filter.hop) * decimation;
    }
    this.lag = Math.ceil((late + leastDelay(decimation)) / frameSize);
    this.interpolate = new Interpolator(decimation, this.lag * frameSize - late, row);
  }

  /**
   * Codes [F, L] of the first L levels and base [F * frameSize] -> waveform. `heard` is what the difference is added
   * to, late by `late` samples (those of its beginning are not there).
   */
  async decode(
    codes: Uint16Array,
    levels: number,
    frames: number,
    base: Float32Array,
    heard: Float32Array,
    late: number,
  ): Promise<Float32Array> {
    const low = this.decimate.next(base);
    const counts = Array.from({ length: frames }, (_, t) => this.used(codes.subarray(t * levels, (t + 1) * levels)));
    const { covariances, parts } = await this.covariance.next(low);
    const difference = this.difference(codes, levels, counts, covariances, parts);
    const correction = await this.correction(difference, low, this.shares(counts));
    const whole = joined(this.waiting, heard);
    const ready = Math.max(0, whole.length + late - this.lag * this.frameSize);
    this.waiting = whole.slice(ready);
    const first = correction.length - ready;
    return whole.slice(0, ready).map((x, i) => x + correction[first + i]!);
  }

  /** The last frames, with the rest of what the difference is added to. */
  async finish(heard: Float32Array): Promise<Float32Array> {
    const whole = joined(this.waiting, heard);
    const hops = this.lag * this.config.hops;
    const low = new Float32Array(hops * this.hop);
    const shares = new Float32Array(this.filter ? low.length / this.filter.hop : 0);
    const correction = await this.correction(new Float32Array(hops * this.frequency.length), low, shares);
    const first = correction.length - whole.length;
    return whole.map((x, i) => x + correction[first + i]!);
  }

  /** How many levels of a frame count. */
  private used(codes: Uint16Array): number {
    const { by_frame, min_levels, levels } = this.config;
    if (!by_frame || !codes.length) return codes.length;
    let count = codes.length;
    while (count && !codes[count - 1]) count--;
    return count >= Math.min(min_levels, levels) ? count : 0;
  }

  /** What the filter is told: the share of all levels that is used, of each of its windows. */
  private shares(counts: number[]): Float32Array {
    if (!this.filter) return new Float32Array(0);
    const windows = (this.hop * this.config.hops) / this.filter.hop;
    const even = Float32Array.from(
      { length: counts.length * windows },
      (_, i) => counts[Math.floor(i / windows)]! / this.config.levels,
    );
    return this.config.by_frame ? this.delayShares!.next(even) : even;
  }

  /** What to add to the base, at the full rate. */
  private async correction(difference: Float32Array, low: Float32Array, shares: Float32Array): Promise<Float32Array> {
    let change = this.inverse.next(difference);
    if (this.filter) {
      const base = this.delayBase.next(low);
      const decoded = base.map((x, i) => x + change[i]!);
      const more = await this.filter.next(decoded, base, shares);
      change = this.delayChange!.next(change).map((x, i) => x + more[i]!);
    }
    return this.interpolate.next(change);
  }

  /** Coefficients in place of the base's, less those: [F * hops, K]. */
  private difference(
    codes: Uint16Array,
    levels: number,
    counts: number[],
    covariances: FrameCovariance[],
    parts: Float32Array,
  ): Float32Array {
    const { hops, segment, cutoff, taper, fill, schedule, weighting } = this.config;
    const count = this.frequency.length;
    const own = product(parts, this.mdct, 2 * this.hop);
    const out = new Float32Array(own.length);
    if (!levels) return out;
    covariances.forEach((covariance, t) => {
      const transform = new Transform(covariance, this.frequency, segment, weighting);
      const tilt = transform.frequency.map((x) => Math.log(clip((cutoff - x) / taper, 1e-3, 1)));
      const used = counts[t]!;
      const left = varianceLeft(transform.logVariance, used, schedule, transform.frequency, tilt, this.bits);
      const coded = transform.inverse(this.codes.decode(codes.subarray(t * levels, t * levels + used), left));
      const share = transform.uncoded(left[used]!);
      for (let at = 0; at < coded.length; at++) {
        const [s, h, i] = [Math.floor(at / (hops * segment)), Math.floor(at / segment) % hops, at % segment];
        const k = s * segment + i;
        const place = (t * hops + h) * count + k;
        const more = clip((share[at]! - ALL_BASE) / RAMP, 0, 1) * (1 - fill);
        const gain = (fill + more) * Math.sqrt(share[at]!);
        out[place] = (coded[at]! + gain * own[place]! - own[place]!) * this.taper[k]!;
      }
    });
    return out;
  }
}
