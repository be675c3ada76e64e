import { check } from "../josie/errors";
import { integers } from "../josie/safetensors";
import { type Fetcher, Files, found, type Wanted } from "../model/model_files";

/** A network of `config.json`, as far as it is needed here. */
interface ConvConfig {
  fine: number;
  fine_blocks: number;
  fine_kernel: number;
  blocks: number;
  kernel: number;
}

/** The detail layer of `config.json`. */
export interface DetailConfig {
  splits: number[][];
  channels: number;
  expansion: number;
  blocks: number[];
  scales: number;
  strengths?: number;
  shapes?: number;
  states?: number;
  bases?: boolean;
  fine: number;
  filter_blocks: number;
  filter_kernel: number;
}

/** The part of `config.json` of a model of pictures that is needed here; older ones have some of it elsewhere. */
export interface PictureConfig {
  patch: number;
  group: number;
  latent_dim: number;
  quantizer?: StackConfig;
  levels?: number;
  codebook_size?: number;
  shared_from?: number;
  encoder: ConvConfig;
  decoder: ConvConfig;
  detail?: DetailConfig | null;
}

/** The codebooks. */
export interface StackConfig {
  codebook_size: number;
  levels: number;
  shared_from: number;
}

/** Those of a model of pictures. */
export class PictureFiles extends Files<PictureConfig> {
  /** The model of a fingerprint; that which encodes without one. */
  static async find(fetcher: Fetcher, wanted?: Wanted): Promise<PictureFiles> {
    const { entry, config } = await found<PictureConfig>(fetcher, "vision", wanted);
    return new PictureFiles(entry.name, entry.fingerprint, config, fetcher);
  }

  get books(): StackConfig {
    const { quantizer, codebook_size, levels, shared_from } = this.config;
    return quantizer ?? { codebook_size: codebook_size!, levels: levels!, shared_from: shared_from ?? -1 };
  }

  /** Patches that the coarse and the fine half of a network look beyond each patch. */
  reach(part: "encoder" | "decoder"): [number, number] {
    const { blocks, kernel, fine, fine_blocks, fine_kernel } = this.config[part];
    const near = fine_blocks * Math.floor(fine_kernel / 2) * fine;
    return [blocks * Math.floor(kernel / 2), Math.ceil(near / this.config.patch)];
  }

  /** Whole numbers of the detail layer, by their names in it. */
  async detailNumbers(): Promise<(name: string) => Float64Array> {
    const tensors = await this.tensors("base");
    return (name) => {
      const tensor = tensors.get(`detail.${name.replaceAll(".", "_")}`);
      check(tensor !== undefined, `the detail layer lacks ${name}`);
      return integers(tensor);
    };
  }
}
