import { JosieError } from "../josie/errors";
import { joined } from "../model/spectra";
import { MAX_MINUTES } from "../sound/input";
import type { Sound } from "../sound/wav";

/** A recording that goes on until it is stopped, or is as long as the page takes. */
export class Microphone {
  private readonly parts: Float32Array[] = [];
  private length = 0;

  private constructor(
    private readonly context: AudioContext,
    private readonly stream: MediaStream,
    private readonly full: () => void,
  ) {}

  /** Asks for the microphone; throws `JosieError` if it cannot be had. */
  static async start(full: () => void): Promise<Microphone> {
    if (!navigator.mediaDevices)
      throw new JosieError("This browser records only on pages of https or of this machine.");
    let stream: MediaStream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    } catch (error) {
      const denied = error instanceof DOMException && error.name === "NotAllowedError";
      throw new JosieError(
        denied ? "The browser does not let this page use the microphone." : "There is no microphone.",
      );
    }
    const context = new AudioContext();
    const microphone = new Microphone(context, stream, full);
    await context.audioWorklet.addModule(new URL("recorder.js", document.baseURI));
    const node = new AudioWorkletNode(context, "recorder");
    node.port.onmessage = ({ data }: MessageEvent<Float32Array>) => microphone.take(data);
    context.createMediaStreamSource(stream).connect(node);
    return microphone;
  }

  private take(part: Float32Array): void {
    if (this.seconds > 60 * MAX_MINUTES) {
      this.full();
      return;
    }
    this.parts.push(part);
    this.length += part.length;
  }

  get seconds(): number {
    return this.length / this.context.sampleRate;
  }

  /** Ends; what was recorded. */
  async stop(): Promise<Sound> {
    for (const track of this.stream.getTracks()) track.stop();
    const rate = this.context.sampleRate;
    await this.context.close();
    if (!this.length) throw new JosieError("Nothing was recorded.");
    return { rate, channels: [joined(...this.parts)] };
  }
}
