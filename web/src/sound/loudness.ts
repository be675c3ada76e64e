import { RealFourier } from "../model/fourier";

/** LUFS between which a recording is left as it is, and what others are brought to: as josiecodec/audio/loudness.py. */
const USUAL: [number, number] = [-42, -15];
const TARGET = -25;
const MOST = 63; // decibels that a header can hold
const ABSOLUTE_GATE = -70;
const RELATIVE_GATE = -10;
const WINDOW = 0.4;
const OFFSET = -0.691;
const SHELF: [number, number, number] = [1681.974450955533, 0.7071752369554196, 3.999843853973347];
const HIGH_PASS: [number, number] = [38.13547087602444, 0.5003270373238773];

/** Decibels by which a recording is amplified before it is coded; 0 if it is as loud as others, or silent. */
export function usualGain(samples: Float32Array, rate: number): number {
  const loud = loudness(samples, rate);
  if (loud === -Infinity || (loud >= USUAL[0] && loud <= USUAL[1])) return 0;
  const gain = rounded(TARGET - loud);
  if (gain <= 0) return Math.max(gain, -MOST);
  const peak = samples.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  return Math.max(Math.min(gain, Math.floor(-20 * Math.log10(peak))), 0);
}

/** What samples are multiplied by for so many decibels. */
export function amplified(samples: Float32Array, gain: number): Float32Array {
  const factor = Math.fround(10 ** (gain / 20));
  return gain ? samples.map((x) => x * factor) : samples;
}

/** As Python rounds: halves to even numbers. */
function rounded(x: number): number {
  const down = Math.floor(x);
  return x - down === 0.5 ? down + (Math.abs(down) % 2) : Math.round(x);
}

function loudness(samples: Float32Array, rate: number): number {
  const hop = Math.max(Math.round((WINDOW * rate) / 2), 1);
  const size = 2 * hop;
  const short = samples.length < size;
  const fourier = new RealFourier(size);
  const window = Float64Array.from({ length: size }, (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / size));
  const weights = kWeights(size, rate);
  let powers: number[] = [];
  for (let first = 0; first === 0 || first + size <= samples.length; first += hop) {
    for (let n = 0; n < size; n++) fourier.real[n] = (samples[first + n] ?? 0) * (short ? 1 : window[n]!);
    fourier.forward();
    let energy = 0;
    for (let k = 0; k < weights.length; k++) {
      energy += (fourier.real[k]! ** 2 + fourier.imag[k]! ** 2) * weights[k]!;
    }
    powers.push(energy / size / (short ? Math.max(samples.length, 1) : 0.375 * size));
  }
  powers = powers.filter((power) => power > 10 ** ((ABSOLUTE_GATE - OFFSET) / 10));
  if (!powers.length) return -Infinity;
  const gate = mean(powers) * 10 ** (RELATIVE_GATE / 10);
  return OFFSET + 10 * Math.log10(mean(powers.filter((power) => power >= gate)));
}

function mean(values: number[]): number {
  return values.reduce((sum, x) => sum + x, 0) / values.length;
}

/** Squared magnitudes of the K-weighting of BS.1770 at the bins of a real spectrum, doubled where a bin stands for two. */
function kWeights(size: number, rate: number): Float64Array {
  const [shelf, quality, gain] = SHELF;
  const high = 10 ** (gain / 20);
  const middle = high ** 0.4996667741545416;
  const k = Math.tan(Math.PI * Math.min(shelf / rate, 0.49));
  const up = [high + (middle * k) / quality + k * k, 2 * (k * k - high), high - (middle * k) / quality + k * k];
  const low = denominator(k, quality);
  const below = denominator(Math.tan(Math.PI * Math.min(HIGH_PASS[0] / rate, 0.49)), HIGH_PASS[1]);
  const above = [below[0]!, -2 * below[0]!, below[0]!];
  return Float64Array.from({ length: size / 2 + 1 }, (_, bin) => {
    const turn = (2 * Math.PI * bin) / size;
    const response = (power(up, turn) * power(above, turn)) / (power(low, turn) * power(below, turn));
    return bin === 0 || bin === size / 2 ? response : 2 * response;
  });
}

function denominator(k: number, quality: number): number[] {
  return [1 + k / quality + k * k, 2 * (k * k - 1), 1 - k / quality + k * k];
}

/** Squared magnitude of a polynomial of one turn of the unit circle. */
function power(coefficients: number[], turn: number): number {
  const real = coefficients.reduce((sum, c, n) => sum + c * Math.cos(n * turn), 0);
  const imag = coefficients.reduce((sum, c, n) => sum + c * Math.sin(n * turn), 0);
  return real * real + imag * imag;
}
