import type { Sound } from "./wav";

/** The difference of two channels has so many times the energy of their sum: they are of opposite phase. */
const OPPOSITE = 10;
const AUDIBLE = 1e-8;

/** The mix of all channels, and what has to be said about it. */
export function toMono(sound: Sound): { samples: Float32Array; notes: string[] } {
  const { channels } = sound;
  const length = channels[0]!.length;
  const notes: string[] = [];
  let signs = channels.map(() => 1);
  if (channels.length === 2) {
    // Energies of sum and difference without constant offsets: nothing is heard of those.
    let [sum, difference, ofSum, ofDifference] = [0, 0, 0, 0];
    for (let n = 0; n < length; n++) {
      const [a, b] = [channels[0]![n]!, channels[1]![n]!];
      ofSum += a + b;
      ofDifference += a - b;
      sum += (a + b) ** 2;
      difference += (a - b) ** 2;
    }
    sum -= ofSum ** 2 / Math.max(length, 1);
    difference -= ofDifference ** 2 / Math.max(length, 1);
    if (difference > Math.max(OPPOSITE * sum, 4 * AUDIBLE * length)) {
      signs = [1, -1];
      notes.push("Its two channels are of opposite phase and would cancel out; the second one is inverted.");
    }
  }
  if (channels.length > 1) notes.push(`Its ${channels.length} channels are mixed to one.`);
  const samples = new Float32Array(length);
  let unfit = 0;
  for (let n = 0; n < length; n++) {
    let sum = 0;
    for (let c = 0; c < channels.length; c++) sum += signs[c]! * channels[c]![n]!;
    const mean = sum / channels.length;
    if (Number.isFinite(mean)) samples[n] = mean;
    else unfit++;
  }
  if (unfit) notes.push(`${unfit} samples are no numbers; they become silence.`);
  return { samples, notes };
}
