const SMALL = 0.002;
const FRAMES = 12;

/** Takes a constant offset off a recording, as josiecodec/audio/offset.py does. */
export class Offset {
  private mean = 0;
  private frames = 0;

  constructor(private readonly size: number) {}

  /** Changes whole frames in place; frames that follow come with the next call. */
  remove(samples: Float32Array): void {
    for (let first = 0; first < samples.length; first += this.size) {
      const frame = samples.subarray(first, first + this.size);
      const mean = frame.reduce((sum, x) => sum + x, 0) / this.size;
      const before = large(this.mean);
      this.frames = Math.min(this.frames + 1, FRAMES);
      const step = (mean - this.mean) / this.frames;
      this.mean += Number.isFinite(step) ? step : 0;
      const end = large(this.mean);
      const begin = this.frames === 1 ? end : before;
      if (begin !== 0 || end !== 0) {
        const slope = (end - begin) / this.size;
        for (let i = 0; i < frame.length; i++) {
          frame[i] = frame[i]! - Math.fround(begin + slope * (i + 1));
        }
      }
    }
  }
}

/** An offset that is not small; 0 for one that is. */
function large(mean: number): number {
  return Math.abs(mean) > SMALL ? mean : 0;
}
