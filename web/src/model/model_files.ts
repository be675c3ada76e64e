import { EntropyTables } from "../josie/entropy_tables";
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

/** One of the models in `models/index.json`. */
interface Entry {
  name: string;
  kind: "audio" | "vision";
  fingerprint: string;
  encoder: { n_q?: number; beams?: number };
}

/** `models/index.json`: the models, and which ones encode. */
export interface Index {
  default: string;
  pictures?: string;
  models: Entry[];
}

/** What a file says of its model. */
export interface Wanted {
  fingerprint: string;
  model: string;
}

/** A model's files, each got when it is needed. */
export class Files<Config> {
  private readonly waiting = new Map<string, Promise<unknown>>();

  constructor(
    readonly name: string,
    readonly fingerprint: string,
    readonly config: Config,
    private readonly fetcher: Fetcher,
  ) {}

  tables(): Promise<EntropyTables> {
    return this.once("tables", async () => new EntropyTables(await this.fetcher(`${this.name}/entropy.safetensors`)));
  }

  product(): Promise<Product> {
    return this.once("product", () => Product.open());
  }

  /** Tensors as they are in a file: those of the base, or of the layers after it. */
  tensors(part: "base" | "layers"): Promise<Map<string, Tensor>> {
    return this.once(`tensors ${part}`, async () =>
      readTensors(await this.fetcher(`${this.name}/${part}.safetensors`)),
    );
  }

  /** Weights of the base, or of the layers after it. */
  weights(part: "base" | "layers"): Promise<Weights> {
    return this.once(part, async () => {
      const tensors = await this.tensors(part);
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

/** Those of a model of sound. */
export class ModelFiles extends Files<AudioConfig> {
  constructor(
    name: string,
    fingerprint: string,
    config: AudioConfig,
    readonly beams: number,
    readonly defaultLevels: number,
    fetcher: Fetcher,
  ) {
    super(name, fingerprint, config, fetcher);
  }

  /** The model of a fingerprint; that which encodes without one. */
  static async find(fetcher: Fetcher, wanted?: Wanted): Promise<ModelFiles> {
    const { entry, config } = await found<AudioConfig>(fetcher, "audio", wanted);
    const levels = entry.encoder.n_q ?? 1 + config.quantizer.acoustic_levels;
    return new ModelFiles(entry.name, entry.fingerprint, config, entry.encoder.beams ?? 4, levels, fetcher);
  }

  get frameSize(): number {
    const { hop, strides } = this.config.encoder;
    return hop * strides.reduce((all, n) => all * n, 1);
  }

  /** Levels of the base; those after it are of other layers. */
  get baseLevels(): number {
    return 1 + this.config.quantizer.acoustic_levels;
  }
}

/** Which model is wanted, and its configuration; throws `JosieError` if the page does not have it. */
export async function found<Config>(
  fetcher: Fetcher,
  kind: Entry["kind"],
  wanted?: Wanted,
): Promise<{ entry: Entry; config: Config }> {
  const index = JSON.parse(text(await fetcher("index.json"))) as Index;
  const usual = kind === "audio" ? index.default : index.pictures;
  const entry = index.models.find(
    (model) => model.kind === kind && (wanted ? model.fingerprint === wanted.fingerprint : model.name === usual),
  );
  if (!entry) {
    throw new JosieError(
      wanted
        ? `It was made by the model ${wanted.model} (${wanted.fingerprint.slice(0, 12)}), which this page does not have.`
        : "This page has no model that encodes it.",
    );
  }
  const whole = JSON.parse(text(await fetcher(`${entry.name}/config.json`)));
  return { entry, config: whole.config as Config };
}

function value(tensor: Tensor | undefined) {
  return tensor && { shape: tensor.shape, values: floats(tensor) };
}

function text(data: Uint8Array): string {
  return new TextDecoder().decode(data);
}
