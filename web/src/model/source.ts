import { hann, RealFourier } from "./fourier";
import { MersenneTwister } from "./random";

const PITCH_BINS = 160;
const PITCH_RANGE = [50, 1000] as const;
const NOISE_FRAMES = 512;
/** A turn of phase as a whole number: sums of phases are exact, however long. */
const TURN = 2 ** 32;
const SUM_ORDER = [0, 4, 5, 6, 1, 2, 3];
const f = Math.fround;

/**
 * Harmonics and noise of the decoder: adds them to the spectra of windows.
 *
 * Pitches are rounded step by step as the encoder's are, because whatever differs adds up in the phase.
 */
export class HarmonicNoise {
  private readonly bins: number;
  private turns = 0;
  private place = 0;

  constructor(
    private readonly hop: number,
    private readonly window: number,
    private readonly sampleRate: number,
  ) {
    this.bins = window / 2 + 1;
  }

  /** Goes on with another phase, in turns / 2^32. */
  resume(phase: number): void {
    this.turns = phase;
  }

  /**
   * Phases and pitches of the next windows.
   *
   * `curves` are logarithms of filters, and turns, [n, 3, bins]; `logits` of pitch classes, [n, PITCH_BINS].
   * What comes back adds the source of window n to a spectrum.
   */
  next(
    count: number,
    curves: Float32Array,
    logits: Float32Array,
  ): (n: number, re: Float64Array, im: Float64Array) => void {
    const pitches = new Float32Array(count);
    const phases = new Float64Array(count);
    for (let n = 0; n < count; n++) {
      pitches[n] = pitchOf(logits.subarray(n * PITCH_BINS, (n + 1) * PITCH_BINS));
      const step = Math.round(pitches[n]! * ((this.hop / this.sampleRate) * TURN));
      this.turns = (this.turns + step) % TURN;
      phases[n] = this.turns;
    }
    const first = this.place;
    this.place = (this.place + count) % NOISE_FRAMES;
    const noise = noiseSpectra(this.hop, this.window);
    return (n, re, im) => {
      this.harmonics(pitches[n]!, phases[n]!, curves, n, re, im);
      const [row, from] = [((first + n) % NOISE_FRAMES) * this.bins, (3 * n + 1) * this.bins];
      for (let k = 0; k < this.bins; k++) {
        const loudness = Math.exp(clip(curves[from + k]!));
        re[k]! += noise.real[row + k]! * loudness;
        im[k]! += noise.imag[row + k]! * loudness;
      }
    };
  }

  /** In each bin the main lobe of the nearest harmonic. */
  private harmonics(
    pitch: number,
    phase: number,
    curves: Float32Array,
    n: number,
    re: Float64Array,
    im: Float64Array,
  ): void {
    const spacing = f(pitch * f(this.window / this.sampleRate));
    const [gains, turned] = [3 * n * this.bins, (3 * n + 2) * this.bins];
    for (let k = 0; k < this.bins; k++) {
      const number = Math.max(Math.round(f(k / spacing)), 1);
      const off = f(k - f(number * spacing));
      if (Math.abs(off) >= 2) continue;
      // Fourier transform of a Hann window: sinc(d) / (1 - d^2), 1/2 at d = 1.
      const below = f(1 - f(off * off));
      const turn = off * Math.PI;
      const lobe = Math.abs(below) < 2e-3 ? 0.5 : (off === 0 ? 1 : Math.sin(turn) / turn) / below;
      const angle = (((number * phase) % TURN) * 2 * Math.PI) / TURN + curves[turned + k]!;
      // The window's middle is half its length after its first sample: a sign for every bin.
      const size = lobe * (k % 2 ? -1 : 1) * Math.exp(clip(curves[gains + k]!));
      re[k]! += size * Math.cos(angle);
      im[k]! += size * Math.sin(angle);
    }
  }
}

/** Hz: the mean of the likeliest class and its three neighbours on either side. */
function pitchOf(logits: Float32Array): number {
  let best = 0;
  for (let i = 1; i < PITCH_BINS; i++) if (logits[i]! > logits[best]!) best = i;
  const classes = Array.from({ length: 7 }, (_, i) => Math.max(0, Math.min(PITCH_BINS - 1, best + i - 3)));
  let most = Number.NEGATIVE_INFINITY;
  for (const c of classes) most = Math.max(most, logits[c]!);
  const weights = classes.map((c) => f(Math.exp(f(logits[c]! - most))));
  let total = 0;
  for (const weight of weights) total = f(total + weight);
  const scale = f(1 / total);
  let mean = 0;
  for (const i of SUM_ORDER) mean = f(mean + f(f(weights[i]! * scale) * LOG_PITCH[classes[i]!]!));
  return f(Math.exp(mean));
}

/** Logarithms of the pitches of the classes. */
const LOG_PITCH = (() => {
  const [low, high] = PITCH_RANGE.map((hertz) => f(Math.log(hertz))) as [number, number];
  const step = f(f(high - low) / f(PITCH_BINS - 1));
  return Float32Array.from({ length: PITCH_BINS }, (_, i) =>
    i < PITCH_BINS / 2 ? low + step * i : high - step * (PITCH_BINS - 1 - i),
  );
})();

function clip(x: number): number {
  return Math.max(-16, Math.min(4, x));
}

interface Spectra {
  real: Float32Array;
  imag: Float32Array;
}

const made = new Map<number, Spectra>();

/** Spectra of the windows of a white noise without end, which is the same on every machine. */
function noiseSpectra(hop: number, window: number): Spectra {
  const known = made.get(window);
  if (known) return known;
  const random = new MersenneTwister(1);
  const length = NOISE_FRAMES * hop;
  const wave = Float32Array.from({ length }, () => random.normal());
  const fourier = new RealFourier(window);
  const weights = hann(window);
  const scale = (8 / 3 / window) ** 0.5;
  const size = NOISE_FRAMES * fourier.bins;
  const out = { real: new Float32Array(size), imag: new Float32Array(size) };
  for (let n = 0; n < NOISE_FRAMES; n++) {
    for (let i = 0; i < window; i++) fourier.real[i] = wave[(n * hop + i) % length]! * weights[i]!;
    fourier.forward();
    for (let k = 0; k < fourier.bins; k++) {
      out.real[n * fourier.bins + k] = fourier.real[k]! * scale;
      out.imag[n * fourier.bins + k] = fourier.imag[k]! * scale;
    }
  }
  made.set(window, out);
  return out;
}
