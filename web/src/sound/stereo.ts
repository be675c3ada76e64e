import { RealFourier } from "../model/fourier";

const EDGES = [400, 800, 1400, 2200, 3500, 5500];
const BANDS = EDGES.length + 1;
const HOPS = 4;

/** Left and right of a mix to mono, and the angles of its bands [frames, 7], in steps of 15 degrees. */
export function toStereo(mono: Float32Array, angles: Uint16Array, frameSize: number, rate: number): Float32Array[] {
  const hop = frameSize / HOPS;
  const fourier = new RealFourier(2 * hop);
  const frames = angles.length / BANDS;
  const window = Float64Array.from({ length: 2 * hop }, (_, n) => Math.sin((Math.PI * (n + 0.5)) / (2 * hop)));
  const band = Uint8Array.from({ length: fourier.bins }, (_, bin) => {
    const place = EDGES.findIndex((edge) => (bin * rate) / (2 * hop) < edge);
    return place < 0 ? BANDS - 1 : place;
  });
  const left = new Float32Array(mono.length);
  const count = Math.ceil(mono.length / hop) + 1;
  for (let k = 0; k < count; k++) {
    const first = (k - 1) * hop;
    for (let i = 0; i < 2 * hop; i++) fourier.real[i] = (mono[first + i] ?? 0) * window[i]!;
    fourier.forward();
    const row = Math.min(Math.floor(k / HOPS), frames - 1) * BANDS;
    for (let bin = 0; bin < fourier.bins; bin++) {
      const gain = leftGain(angles[row + band[bin]!]!);
      fourier.real[bin]! *= gain;
      fourier.imag[bin]! *= gain;
    }
    fourier.inverse();
    for (let i = 0; i < 2 * hop; i++) {
      if (first + i >= 0 && first + i < left.length) left[first + i]! += fourier.real[i]! * window[i]!;
    }
  }
  return [left, mono.map((x, n) => 2 * x - left[n]!)];
}

function leftGain(angle: number): number {
  const turn = (angle * Math.PI) / 12;
  return (2 * Math.cos(turn)) / (Math.cos(turn) + Math.sin(turn));
}
