import { EntropyTables } from "../josie/audio_payload";
import { JosieError } from "../josie/errors";
import { floats, readTensors, type Tensor } from "../josie/safetensors";
import type { EnvelopeConfig } from "../layers/envelope";
import type { WaveformConfig } from "../layers/waveform";
import { Graph, Product, type Weights } from "./graph";
import type { QuantizerConfig } from "./quantizer";

/** Gets a file of the page's folder `models`. */
export type Fetcher = (path: string) => Promise<Uint8Array>;

/** The part of `config.json` of a model of sound that is needed here. */
export interface AudioConfig {
  name: string;
  sample_rate: number;
  latent_dim: number;
  encoder: { hop: number; window: number; fine: number; strides: number[] };
  decoder: { hop: number; window: number };
  quantizer: QuantizerConfig;
  waveform?: WaveformConfig | null;
  envelope?: EnvelopeConfig | null;
}

/** `models/index.json`. */
export interface Index {
  default: string;
  models: { name: string; fingerprint: string; encoder: { n_q?: number; beams?: number } }[];
}

/** A model's files, each got when it is needed. */
export class ModelFiles {
  private readonly waiting = new Map<string, Promise<unknown>>();

  constructor(
    readonly name: string,
    readonly fingerprint: string,
    readonly config: AudioConfig,
    readonly beams: number,
    readonly defaultLevels: number,
    private readonly fetcher: Fetcher,
  ) {}

  /** The model of a fingerprint; that which encodes without one. */
  static async find(fetcher: Fetcher, wanted?: { fingerprint: string; model: string }): Promise<ModelFiles> {
    const index = JSON.parse(text(await fetcher("index.json"))) as Index;
    const found = index.models.find((model) =>
      wanted ? model.fingerprint === wanted.fingerprint : model.name === index.default,
    );
    if (!found) {
      throw new JosieError(
        `It was made by the model ${wanted?.model} (${wanted?.fingerprint.slice(0, 12)}), which this page does not have.`,
      );
    }
    const whole = JSON.parse(text(await fetcher(`${found.name}/config.json`)));
    const config = whole.config as AudioConfig;
    const { encoder } = found;
    const levels = encoder.n_q ?? 1 + config.quantizer.acoustic_levels;
    return new ModelFiles(found.name, found.fingerprint, config, encoder.beams ?? 4, levels, fetcher);
  }

  get frameSize(): number {
    const { hop, strides } = this.config.encoder;
    return hop * strides.reduce((all, n) => all * n, 1);
  }

  /** Levels of the base; those after it are of other layers. */
  get baseLevels(): number {
    return 1 + this.config.quantizer.acoustic_levels;
  }

  tables(): Promise<EntropyTables> {
    return this.once("tables", async () => new EntropyTables(await this.fetcher(`${this.name}/entropy.safetensors`)));
  }

  product(): Promise<Product> {
    return this.once("product", () => Product.open());
  }

  /** Weights of the base, or of the layers after it. */
  weights(part: "base" | "layers"): Promise<Weights> {
    return this.once(part, async () => {
      const tensors = readTensors(await this.fetcher(`${this.name}/${part}.safetensors`));
      return (name) => value(tensors.get(name));
    });
  }

  graph(name: string, part: "base" | "layers"): Promise<Graph> {
    return this.once(`graph ${name}`, async () => {
      const [file, described, weights] = await Promise.all([
        this.fetcher(`graphs/${name}.onnx`),
        this.fetcher(`graphs/${name}.json`),
        this.weights(part),
      ]);
      return Graph.open(file, JSON.parse(text(described)), weights);
    });
  }

  private once<T>(name: string, make: () => Promise<T>): Promise<T> {
    if (!this.waiting.has(name)) {
      const made = make();
      // What failed, as without a connection, is tried again the next time.
      made.catch(() => this.waiting.delete(name));
      this.waiting.set(name, made);
    }
    return this.waiting.get(name) as Promise<T>;
  }
}

function value(tensor: Tensor | undefined) {
  return tensor && { shape: tensor.shape, values: floats(tensor) };
}

function text(data: Uint8Array): string {
  return new TextDecoder().decode(data);
}
