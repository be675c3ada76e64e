import { existsSync, readFileSync } from "node:fs";

/** What `vectors.py` wrote. */
const VECTORS = new URL("vectors/", import.meta.url);

/** Whether it did. */
export const there = existsSync(new URL("golden.json", VECTORS));

export function exists(name: string): boolean {
  return existsSync(new URL(name, VECTORS));
}

export function bytes(name: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(name, VECTORS)));
}

export function unsigned(name: string): Uint16Array {
  return new Uint16Array(bytes(name).slice().buffer);
}

/** Samples of 16 bits as numbers below 1. */
export function samples(data: Uint8Array, scale: number): Float32Array {
  return Float32Array.from(new Int16Array(data.slice().buffer), (x) => x / scale);
}

export async function fetcher(path: string): Promise<Uint8Array> {
  return bytes(`models/${path}`);
}

/** The energy of the difference of two waves in that of the second. */
export function relativeError(one: Float32Array, other: Float32Array): number {
  let [error, energy] = [0, 0];
  other.forEach((x, i) => {
    error += (one[i]! - x) ** 2;
    energy += x * x;
  });
  return error / energy;
}

/** Golden files of pictures. */
export const images: string[] = there
  ? (JSON.parse(new TextDecoder().decode(bytes("golden.json"))) as { name: string }[])
      .map(({ name }) => name)
      .filter((name) => name.startsWith("image"))
  : [];

/** Numbers that look random, the same each time. */
export function noise(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
