import type { Steps } from "./detail_network";
import { knownStep } from "./detail_network";
import { cropped, type Grid, grid, merged, tiled, unmerged } from "./grid";
import type { PictureFiles } from "./model";
import { COLORS, PATCH } from "./transform";

/** Patches a side of a tile, near to the pixels, and of what looks far. */
const [TILE, COARSE_TILE] = [48, 96];
const RESIDUAL_SCALE = 8;

/** The networks of a model of pictures. Pictures are grids [H, W, 3] of whole patches in 0 to 1. */
export class PictureNetwork {
  private constructor(
    readonly files: PictureFiles,
    private readonly linear: { weight: Float32Array; bias: Float32Array },
    private readonly filter: { steps: Float32Array; strengths: Float32Array | undefined; width: number } | undefined,
  ) {}

  static async open(files: PictureFiles): Promise<PictureNetwork> {
    const weights = await files.weights("base");
    const dim = files.config.latent_dim;
    const weight = weights("decoder.linear.weight")!.values;
    const size = weight.length / dim;
    const table = new Float32Array(weight.length);
    for (let o = 0; o < size; o++) for (let d = 0; d < dim; d++) table[d * size + o] = weight[o * dim + d];
    const linear = { weight: table, bias: weights("decoder.linear.bias")!.values.map((x) => x + 0.5) };
    const steps = weights("detail.step_embedding.weight");
    const strengths = weights("detail.strength_embedding.weight")?.values;
    const filter = steps && { steps: steps.values, strengths, width: steps.shape[1] };
    return new PictureNetwork(files, linear, filter);
  }

  /** Latents [h, w, D] of a picture. */
  async encode(pixels: Grid): Promise<Grid> {
    const graph = await this.files.graph("picture_encoder", "base");
    const [far, near] = this.files.reach("encoder");
    return tiled([{ x: pixels, scale: PATCH }], 1, far + near, TILE, async (x) => {
      const size = x.height * x.width;
      const planes = new Float32Array(COLORS * size);
      for (let i = 0; i < size; i++) {
        for (let c = 0; c < COLORS; c++) planes[c * size + i] = x.values[COLORS * i + c];
      }
      const out = await graph.run({ pixels: { shape: [1, COLORS, x.height, x.width], values: planes } }, {});
      return grid(x.height / PATCH, x.width / PATCH, this.files.config.latent_dim, out.latent);
    });
  }

  /** What latents [h, w, D] with so many levels look like, about 0 to 1. */
  async decode(latent: Grid, counts: Uint8Array): Promise<Grid> {
    const { height, width } = latent;
    const levels = grid(height, width, 1, Float32Array.from(counts));
    const [far, near] = this.files.reach("decoder");
    const inputs = [latent, levels].map((x) => ({ x, scale: 1 }));
    const hidden = await tiled(inputs, 1, far, COARSE_TILE, (z, n) => this.hidden(z, n));
    const parts = [latent, hidden].map((x) => ({ x, scale: 1 }));
    return tiled(parts, PATCH, near, TILE, (z, y) => this.pixels(z, y));
  }

  private async hidden(latent: Grid, levels: Grid): Promise<Grid> {
    const graph = await this.files.graph("picture_hidden", "base");
    const { height, width } = latent;
    const out = await graph.run(
      {
        latent: { shape: [1, height, width, latent.channels], values: latent.values },
        levels: { shape: [1, height, width], values: BigInt64Array.from(levels.values, (n) => BigInt(n)) },
      },
      {},
    );
    return grid(height, width, out.hidden.length / (height * width), out.hidden);
  }

  private async pixels(latent: Grid, hidden: Grid): Promise<Grid> {
    const graph = await this.files.graph("picture_fine", "base");
    const { fine: places } = this.files.config.decoder;
    const fine = unmerged(hidden, PATCH / places);
    const input = { shape: [1, fine.height, fine.width, fine.channels], values: fine.values };
    const { change } = await graph.run({ fine: input }, {});
    const change6 = unmerged(grid(fine.height, fine.width, change.length / (fine.height * fine.width), change), places);
    const out = unmerged(await this.plain(latent), PATCH);
    const both = change6.channels; // the second picture of a group follows the first
    for (let i = 0; i < out.height * out.width; i++) {
      for (let c = 0; c < COLORS; c++) out.values[COLORS * i + c] += change6.values[both * i + c];
    }
    return out;
  }

  /** The linear picture, by patches. */
  private async plain(latent: Grid): Promise<Grid> {
    const { weight, bias } = this.linear;
    const values = await (await this.files.product()).run(latent.values, weight, latent.channels);
    for (let i = 0; i < values.length; i++) values[i] += bias[i % bias.length];
    const all = grid(latent.height, latent.width, bias.length, values);
    const size = PATCH * PATCH * COLORS;
    if (all.channels === size) return all;
    throw new Error("a linear picture of another size");
  }

  /** Base and residual put together and smoothed. */
  async smoothed(base: Grid, residual: Grid, steps: Steps): Promise<Grid> {
    const { fine, filter_blocks: blocks, filter_kernel: kernel } = this.files.config.detail!;
    const graph = await this.files.graph(blocks === 4 ? "picture_filter" : `picture_filter_${blocks}`, "base");
    const { steps: embedding, strengths, width } = this.filter!;
    const known = embedding.slice(knownStep(steps) * width, (knownStep(steps) + 1) * width);
    if (strengths) for (let c = 0; c < width; c++) known[c] += strengths[steps.strength * width + c];
    const margin = Math.ceil((blocks * Math.floor(kernel / 2) * fine) / PATCH);
    const inputs = [base, residual].map((x) => ({ x, scale: PATCH }));
    return tiled(inputs, PATCH, margin, TILE, async (b, r) => {
      const both = grid(b.height / fine, b.width / fine, 2 * COLORS * fine * fine);
      const parts = [merged(centred(b), fine), merged(scaled(r), fine)];
      const size = parts[0].channels;
      for (let i = 0; i < both.height * both.width; i++) {
        parts.forEach((part, n) => {
          both.values.set(part.values.subarray(i * size, (i + 1) * size), (2 * i + n) * size);
        });
      }
      const input = { shape: [1, both.height, both.width, both.channels], values: both.values };
      const { change } = await graph.run({ merged: input, known: { shape: [width], values: known } }, {});
      const out = unmerged(grid(both.height, both.width, size, change), fine);
      for (let i = 0; i < out.values.length; i++) out.values[i] += b.values[i] + r.values[i];
      return out;
    });
  }
}

function centred(x: Grid): Grid {
  return { ...x, values: x.values.map((value) => value - 0.5) };
}

function scaled(x: Grid): Grid {
  return { ...x, values: x.values.map((value) => value * RESIDUAL_SCALE) };
}

/** A picture without what lies behind its right and lower edge. */
export function trimmed(x: Grid, height: number, width: number): Grid {
  return cropped(x, 0, 0, height, width);
}
