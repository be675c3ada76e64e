import { hann, RealFourier } from "../model/fourier";

const WINDOW = 480;
const FLOOR_DB = -80;
/** Colours from silence to full scale: dark blue, violet, orange, pale yellow. */
const STOPS = [
  [8, 8, 32],
  [70, 20, 110],
  [190, 55, 85],
  [250, 145, 40],
  [252, 252, 190],
];

/** The canvas at the resolution of the screen. */
function fitted(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const scale = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(canvas.clientWidth * scale));
  canvas.height = Math.max(1, Math.round(canvas.clientHeight * scale));
  return canvas.getContext("2d")!;
}

/** Lowest and highest sample of each column. */
export function drawWaveform(canvas: HTMLCanvasElement, samples: Float32Array): void {
  const context = fitted(canvas);
  const { width, height } = canvas;
  context.fillStyle = getComputedStyle(canvas).color;
  const per = samples.length / width;
  for (let x = 0; x < width; x++) {
    let [low, high] = [0, 0];
    const end = Math.min(samples.length, Math.ceil((x + 1) * per));
    for (let n = Math.floor(x * per); n < end; n++) {
      low = Math.min(low, samples[n]!);
      high = Math.max(high, samples[n]!);
    }
    const top = (0.5 - 0.5 * Math.min(1, high)) * height;
    const bottom = (0.5 - 0.5 * Math.max(-1, low)) * height;
    context.fillRect(x, top, 1, Math.max(1, bottom - top));
  }
}

/** Loudness over time and frequency, 0 Hz at the bottom. */
export function drawSpectrogram(canvas: HTMLCanvasElement, samples: Float32Array): void {
  const context = fitted(canvas);
  const { width, height } = canvas;
  const fourier = new RealFourier(WINDOW);
  const weights = hann(WINDOW);
  const image = context.createImageData(width, height);
  const level = new Float64Array(fourier.bins);
  for (let x = 0; x < width; x++) {
    const first = Math.round(((x + 0.5) * samples.length) / width) - WINDOW / 2;
    for (let i = 0; i < WINDOW; i++) fourier.real[i] = (samples[first + i] ?? 0) * weights[i]!;
    fourier.forward();
    for (let k = 0; k < fourier.bins; k++) {
      const power = (fourier.real[k]! ** 2 + fourier.imag[k]! ** 2) / (WINDOW / 4) ** 2;
      level[k] = 1 - Math.max(FLOOR_DB, Math.min(0, 10 * Math.log10(power + 1e-12))) / FLOOR_DB;
    }
    for (let y = 0; y < height; y++) {
      const bin = Math.min(fourier.bins - 1, Math.floor(((height - 1 - y) * fourier.bins) / height));
      image.data.set(colour(level[bin]!), 4 * (y * width + x));
    }
  }
  context.putImageData(image, 0, 0);
}

function colour(level: number): [number, number, number, number] {
  const place = level * (STOPS.length - 1);
  const whole = Math.min(STOPS.length - 2, Math.floor(place));
  const mix = (i: number) => STOPS[whole]![i]! + (STOPS[whole + 1]![i]! - STOPS[whole]![i]!) * (place - whole);
  return [mix(0), mix(1), mix(2), 255];
}
