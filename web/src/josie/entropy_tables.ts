import { LevelTable } from "./code_tables";
import { ContextModel } from "./context_model";
import { integers, readTensors } from "./safetensors";

/** What a model knows of how likely its codes are: `entropy.safetensors`. */
export class EntropyTables {
  readonly levels: LevelTable[] = [];
  readonly context: ContextModel | undefined;
  /** The level that the codes of a patch of each mode begin with. */
  readonly starts: ArrayLike<number>;

  constructor(file: Uint8Array) {
    const tensors = readTensors(file);
    while (tensors.has(`${this.levels.length}.classes`)) this.levels.push(new LevelTable(tensors, this.levels.length));
    this.context = tensors.has("context.table") ? new ContextModel(tensors) : undefined;
    this.starts = tensors.has("starts") ? integers(tensors.get("starts")!) : [0];
  }

  /** Bits that each code of a level takes, averaged over what may come before it. */
  typicalBits(level: number): Float64Array {
    const { context } = this;
    return context && level < context.levels ? context.typicalBits(level) : this.levels[level].typicalBits();
  }
}
