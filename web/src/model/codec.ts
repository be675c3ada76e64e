import type { Tensor } from "onnxruntime-web/wasm";
import type { Graph } from "./graph";
import type { ModelFiles } from "./model_files";
import { Offset } from "./offset";
import { Quantizer } from "./quantizer";
import { HarmonicNoise } from "./source";
import { joined, LogSpectra, OverlapAdd } from "./spectra";

const STEP_FRAMES = 50;

/** Is told the share that is done. */
export type Progress = (share: number) => void;

/** Base of a model of sound: samples to codes and back, in pieces of any size. */
export class BaseCodec {
  private constructor(
    readonly files: ModelFiles,
    readonly quantizer: Quantizer,
    readonly levelEmbedding: Float32Array,
  ) {}

  static async open(files: ModelFiles): Promise<BaseCodec> {
    const weights = await files.weights("base");
    const embedding = weights("decoder.coarseness.weight")!.values;
    return new BaseCodec(files, new Quantizer(files.config.quantizer, weights, await files.product()), embedding);
  }

  /** Codes [frames, levels] of a whole recording at the model's rate. */
  async encode(samples: Float32Array, levels: number, progress: Progress = () => {}): Promise<Uint16Array> {
    const { files, quantizer } = this;
    const { hop, window, fine } = files.config.encoder;
    const size = files.frameSize;
    const frames = Math.ceil(samples.length / size);
    const graph = await files.graph("encoder", "base");
    const memory = graph.beginning();
    const offset = new Offset(size);
    const [spectra, finer] = [new LogSpectra(hop, window), new LogSpectra(hop / (window / fine), fine)];
    const out = new Uint16Array(frames * levels);
    for (let first = 0; first < frames; first += STEP_FRAMES) {
      const count = Math.min(STEP_FRAMES, frames - first);
      const piece = new Float32Array(count * size);
      piece.set(samples.subarray(first * size, (first + count) * size));
      offset.remove(piece);
      const rows = (count * size) / hop;
      const coarse = { shape: [1, rows, spectra.bins], values: spectra.next(piece) };
      const values = finer.next(piece);
      const inputs = { spectra: coarse, fine: { shape: [1, rows, values.length / rows], values } };
      const { semantic, acoustic } = await graph.run(inputs, memory);
      out.set(await quantizer.search(semantic!, acoustic!, levels, files.beams), first * levels);
      progress((first + count) / frames);
    }
    return out;
  }

  /** What decodes one recording. */
  async decoder(): Promise<BaseDecoder> {
    return new BaseDecoder(this, await this.files.graph("decoder", "base"));
  }
}

/** Codes of one recording, any number of frames at once -> samples. */
export class BaseDecoder {
  private readonly memory: Record<string, Tensor>;
  private readonly source: HarmonicNoise;
  private readonly synthesis: OverlapAdd;
  private readonly bins: number;

  constructor(
    private readonly codec: BaseCodec,
    private readonly graph: Graph,
  ) {
    const { hop, window } = codec.files.config.decoder;
    this.memory = graph.beginning();
    this.source = new HarmonicNoise(hop, window, codec.files.config.sample_rate);
    this.synthesis = new OverlapAdd(hop, window);
    this.bins = window / 2 + 1;
  }

  /** Goes on with the phase that the encoder had here, which a mark of the file says. */
  meet(phase: number): void {
    this.source.resume(phase);
  }

  /** Codes [frames, levels] of the base. */
  async decode(codes: Uint16Array, levels: number): Promise<Float32Array<ArrayBuffer>> {
    const parts: Float32Array[] = [];
    const frames = codes.length / levels;
    for (let first = 0; first < frames; first += STEP_FRAMES) {
      const last = Math.min(first + STEP_FRAMES, frames);
      parts.push(await this.step(codes.subarray(first * levels, last * levels), last - first, levels));
    }
    return joined(...parts);
  }

  private async step(codes: Uint16Array, frames: number, levels: number): Promise<Float32Array> {
    const { files, quantizer, levelEmbedding } = this.codec;
    const { semantic, acoustic } = quantizer.sums(codes, frames, levels);
    const dim = files.config.latent_dim;
    const out = await this.graph.run(
      {
        semantic: { shape: [1, frames, semantic.length / frames], values: semantic },
        acoustic: { shape: [1, frames, acoustic.length / frames], values: acoustic },
        level: { shape: [dim], values: levelEmbedding.slice(levels * dim, (levels + 1) * dim) },
      },
      this.memory,
    );
    const windows = (frames * files.frameSize) / files.config.decoder.hop;
    const add = this.source.next(windows, out.curves!, out.pitch!);
    return this.synthesis.next(windows, (n, real, imag) => {
      const from = 2 * n * this.bins;
      for (let k = 0; k < this.bins; k++) {
        const size = Math.exp(Math.max(-16, Math.min(4, out.spectrum![from + k]!)));
        const angle = out.spectrum![from + this.bins + k]!;
        real[k] = size * Math.cos(angle);
        imag[k] = size * Math.sin(angle);
      }
      add(n, real, imag);
    });
  }
}
