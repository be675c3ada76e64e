import { type Sound, writeWav } from "../sound/wav";
import { drawSpectrogram, drawWaveform } from "./drawing";
import { element, offer } from "./elements";

/** Plays a sound and draws it; another version of it goes on where the one before was. */
export class Player {
  private readonly audio = element<HTMLAudioElement>("player");
  private readonly views = element<HTMLDivElement>("views");
  private readonly playhead = element<HTMLDivElement>("playhead");
  private sound: Sound | undefined;

  constructor() {
    this.views.addEventListener("click", (event) => {
      const box = this.views.getBoundingClientRect();
      if (this.audio.duration) this.audio.currentTime = ((event.clientX - box.left) / box.width) * this.audio.duration;
    });
    new ResizeObserver(() => this.draw()).observe(this.views);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    const follow = () => {
      const share = this.audio.duration ? this.audio.currentTime / this.audio.duration : 0;
      this.playhead.style.left = `${100 * Math.min(1, share)}%`;
      requestAnimationFrame(follow);
    };
    follow();
  }

  /** Shows a sound; `again` says whether it is the one before in another version. */
  show(sound: Sound, again: boolean, name: string): void {
    this.sound = sound;
    const { currentTime, paused } = this.audio;
    const data = writeWav(sound);
    URL.revokeObjectURL(this.audio.src);
    this.audio.src = URL.createObjectURL(new Blob([data], { type: "audio/wav" }));
    if (again) {
      this.audio.currentTime = currentTime;
      if (!paused) void this.audio.play();
    }
    offer(element("wav"), data, name);
    this.draw();
  }

  stop(): void {
    this.audio.pause();
  }

  private draw(): void {
    if (!this.sound || !this.views.clientWidth) return;
    const samples = this.sound.channels[0]!;
    drawWaveform(element("waveform"), samples);
    drawSpectrogram(element("spectrogram"), samples);
  }
}
