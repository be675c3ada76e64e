import type { ModelFiles } from "../model/model_files";
import { EnvelopeDecoder } from "./envelope";
import { WaveformDecoder } from "./waveform";

/** Levels after the base: their codes and the base -> waveform, some frames late. */
export class LayersDecoder {
  private begun = false;

  private constructor(
    private readonly positions: Set<number>,
    private readonly waveform: WaveformDecoder,
    private readonly envelope: EnvelopeDecoder | undefined,
  ) {}

  static async open(model: ModelFiles): Promise<LayersDecoder> {
    const { waveform, envelope, sample_rate: rate, quantizer } = model.config;
    const weights = await model.weights("layers");
    const names = ["waveform", ...(waveform!.filter ? ["filter"] : []), ...(envelope ? ["envelope"] : [])];
    const opened = await Promise.all(names.map(async (name) => [name, await model.graph(name, "layers")] as const));
    const graphs = Object.fromEntries(opened);
    const shape = [rate, model.frameSize, quantizer.codebook_size] as const;
    return new LayersDecoder(
      new Set(envelope?.positions ?? []),
      new WaveformDecoder(waveform!, ...shape, graphs, weights),
      envelope ? new EnvelopeDecoder(envelope, ...shape, graphs.envelope!, weights) : undefined,
    );
  }

  /** Codes [F, L] of the levels after the base, and base [F * frameSize]. */
  async decode(codes: Uint16Array, levels: number, frames: number, base: Float32Array): Promise<Float32Array> {
    const all = Array.from({ length: levels }, (_, k) => k);
    const others = all.filter((k) => !this.positions.has(k));
    const rest = picked(codes, levels, frames, others);
    if (!this.envelope) return this.waveform.decode(rest, others.length, frames, base, base, 0);
    const own = all.filter((k) => this.positions.has(k));
    let heard = await this.envelope.decode(picked(codes, levels, frames, own), own.length, frames, base);
    if (!this.begun) heard = heard.slice(this.envelope.late);
    this.begun = true;
    return this.waveform.decode(rest, others.length, frames, base, heard, this.envelope.late);
  }

  /** What is still owed. */
  finish(): Promise<Float32Array> {
    return this.waveform.finish(this.envelope ? this.envelope.finish() : new Float32Array(0));
  }
}

/** Some levels of codes [frames, levels]. */
function picked(codes: Uint16Array, levels: number, frames: number, which: number[]): Uint16Array {
  return Uint16Array.from({ length: frames * which.length }, (_, i) => {
    const [t, k] = [Math.floor(i / which.length), i % which.length];
    return codes[t * levels + which[k]!]!;
  });
}
