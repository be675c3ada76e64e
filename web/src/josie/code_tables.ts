import { check } from "./errors";
import { FREQUENCY_BITS, type RangeDecoder, type RangeEncoder } from "./range_coder";
import { integers, type Tensor } from "./safetensors";

/** Frequencies of one level: of the classes in two contexts, and of the codes in their classes. */
export class LevelTable {
  readonly classOf: Float64Array;
  readonly classes: number;
  /** How many values each of the two contexts has, the last of which is "none". */
  readonly contexts: [number, number];
  /** Where the frequencies of the classes begin, for each pair of contexts. */
  private readonly classStarts: Float64Array;
  /** Codes of each class in ascending order, and where their frequencies begin. */
  private readonly members: number[][] = [];
  private readonly codeStarts: number[][] = [];
  private readonly place: Uint16Array;

  constructor(tensors: Map<string, Tensor>, level: number) {
    const [classes, given, within] = ["classes", "given", "within"].map((name) => {
      const tensor = tensors.get(`${level}.${name}`);
      check(tensor !== undefined, `the table ${level}.${name} is missing`);
      return tensor;
    }) as [Tensor, Tensor, Tensor];
    const [a, b, c] = given.shape as [number, number, number];
    this.classOf = integers(classes);
    this.contexts = [a, b];
    this.classes = c;
    this.classStarts = starts(integers(given), c);
    this.place = new Uint16Array(this.classOf.length);
    const frequencies = integers(within);
    for (let i = 0; i < c; i++) {
      this.members.push([]);
      this.codeStarts.push([0]);
    }
    this.classOf.forEach((own, code) => {
      check(own < c, "a class that does not exist");
      this.place[code] = this.members[own]!.length;
      this.members[own]!.push(code);
      this.codeStarts[own]!.push(this.codeStarts[own]!.at(-1)! + frequencies[code]!);
    });
    check(
      this.codeStarts.every((list, i) => !this.members[i]!.length || list.at(-1) === 2 ** FREQUENCY_BITS),
      "frequencies of another sum",
    );
  }

  decode(decoder: RangeDecoder, a: number, b: number): number {
    const own = decoder.symbol(this.classStarts, this.row(a, b), this.classes);
    const list = this.members[own]!;
    check(list.length > 0, "a class without codes");
    return list[decoder.symbol(this.codeStarts[own]!, 0, list.length)]!;
  }

  encode(encoder: RangeEncoder, code: number, a: number, b: number): void {
    const own = this.classOf[code]!;
    put(encoder, this.classStarts, this.row(a, b) + own);
    put(encoder, this.codeStarts[own]!, this.place[code]!);
  }

  /** Bits that each code takes, averaged over its contexts. */
  typicalBits(): Float64Array {
    const [m, n] = this.contexts;
    const shares = new Float64Array(this.classes);
    for (let row = 0; row < m * n; row++) {
      for (let i = 0; i < this.classes; i++) {
        const at = row * (this.classes + 1) + i;
        shares[i] += (this.classStarts[at + 1] - this.classStarts[at]) / (m * n);
      }
    }
    return this.classOf.map((own, code) => {
      const [list, place] = [this.codeStarts[own], this.place[code]];
      return 2 * FREQUENCY_BITS - Math.log2(shares[own]) - Math.log2(list[place + 1] - list[place]);
    });
  }

  private row(a: number, b: number): number {
    const [m, n] = this.contexts;
    return (Math.min(a, m - 1) * n + Math.min(b, n - 1)) * (this.classes + 1);
  }
}

function put(encoder: RangeEncoder, list: ArrayLike<number>, at: number): void {
  encoder.encode(list[at]!, list[at + 1]! - list[at]!, FREQUENCY_BITS);
}

/** Sums of what comes before, row by row of `width`, each with its whole sum at the end. */
function starts(frequencies: Float64Array, width: number): Float64Array {
  const rows = frequencies.length / width;
  const out = new Float64Array(rows * (width + 1));
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < width; i++) {
      out[row * (width + 1) + i + 1] = out[row * (width + 1) + i]! + frequencies[row * width + i]!;
    }
    check(out[row * (width + 1) + width] === 2 ** FREQUENCY_BITS, "frequencies of another sum");
  }
  return out;
}
