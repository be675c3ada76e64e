import { type Dependent, following } from "./coefficient_bits";
import { COEFFICIENTS } from "./transform";

const STATES = 8;
const SHRINK = 0.1; // half steps
/** Half steps up to which a coefficient is zero. */
const QUIET = 0.6;
const FAR = 1e300;
/** The two ways to each state: twice the state before, and 1 more for an odd size. */
const WAYS = Array.from({ length: STATES }, (_, to) => {
  const ways = Array.from({ length: 2 * STATES }, (_, way) => way);
  return ways.filter((way) => following(way >> 1, way & 1) === to);
});

/**
 * Coefficients of a pass that make the sum of error + price x bits least, the quantizers being driven by the parities
 * of those before (Viterbi's algorithm).
 *
 * @param relative Coefficients in units of their steps, [blocks, 192].
 * @param price Of a bit, in units of the step squared.
 * @param bits Of each size at each scale, with quantizer 0 and then with 1: [2 scales, sizes].
 */
export function chooseDependent(
  relative: Float32Array,
  members: number[],
  scales: Int16Array,
  price: Float32Array,
  bits: Float64Array,
  tables: number,
  most: number,
): Dependent {
  const count = members.length;
  const width = bits.length / (2 * tables);
  const coded: number[] = [];
  for (let i = 0; i < scales.length; i++) if (scales[i] >= 0) coded.push(i);
  const place = (i: number) => Math.floor(i / count) * COEFFICIENTS + members[i % count];
  const kept = new Int16Array(4 * coded.length);
  const taken = new Uint8Array(STATES * coded.length);
  let costs = new Float64Array(STATES).fill(FAR);
  let next = new Float64Array(STATES);
  costs[0] = 0;
  const each = new Float64Array(4);
  for (let n = 0; n < coded.length; n++) {
    const at = place(coded[n]);
    const [size, dear, scale] = [2 * Math.abs(relative[at]), 4 * price[at], scales[coded[n]]];
    each.fill(FAR);
    for (let q = 0; q < 2; q++) {
      const row = (q * tables + scale) * width;
      each[2 * q] = size * size + dear * bits[row];
      if (size <= QUIET) continue;
      const low = Math.floor(Math.min((size + q) / 2, most - 1));
      for (let found = Math.max(low, 1); found < low + 2; found++) {
        const error = size - (2 * found - q - SHRINK);
        const total = error * error + dear * bits[row + Math.min(found, width - 1)];
        const way = 2 * q + (found & 1);
        if (total >= each[way]) continue;
        each[way] = total;
        kept[4 * n + way] = found;
      }
    }
    let least = Number.POSITIVE_INFINITY;
    for (let to = 0; to < STATES; to++) {
      const [a, b] = WAYS[to];
      const [one, two] = [costs[a >> 1] + each[(a >> 3) * 2 + (a & 1)], costs[b >> 1] + each[(b >> 3) * 2 + (b & 1)]];
      taken[STATES * n + to] = two < one ? 1 : 0;
      next[to] = Math.min(one, two);
      least = Math.min(least, next[to]);
    }
    for (let to = 0; to < STATES; to++) next[to] -= least;
    [costs, next] = [next, costs];
  }
  const symbols = new Int16Array(scales.length);
  const levels = new Int16Array(scales.length);
  let state = costs.indexOf(Math.min(...costs));
  for (let n = coded.length - 1; n >= 0; n--) {
    const way = WAYS[state][taken[STATES * n + state]];
    const found = kept[4 * n + (way >> 3) * 2 + (way & 1)];
    const sign = relative[place(coded[n])] < 0 ? -1 : 1;
    symbols[coded[n]] = sign * found;
    levels[coded[n]] = sign * Math.max(0, 2 * found - (way >> 3));
    state = way >> 1;
  }
  return { symbols, levels };
}

/** Bits of each size by the scale alone, with its sign and what is more than the largest: [2 scales, 16]. */
export function sizeBits(decisions: Float64Array, rest: number): Float64Array {
  const width = 15;
  const rows = decisions.length / width;
  const out = new Float64Array(rows * (width + 1));
  for (let row = 0; row < rows; row++) {
    let reached = 1;
    for (let size = 0; size <= width; size++) {
      const more = size < width ? 1 / (1 + Math.exp(-decisions[row * width + size] / 256)) : 0;
      const extra = (size ? 1 : 0) + (size === width ? rest : 0);
      out[row * (width + 1) + size] = extra - Math.log2(reached * (1 - more));
      reached *= more;
    }
  }
  return out;
}
