import { describe, expect, test } from "vitest";
import { ModelFiles } from "../src/model/model_files";
import { Recording } from "../src/sound/recording";
import { bytes, fetcher, relativeError, samples, there } from "./files";

const find = (wanted: { fingerprint: string; model: string }) => ModelFiles.find(fetcher, wanted);

describe.skipIf(!there)("samples are Python's", () => {
  test.each([
    "audio_range_coded_n_q_1",
    "audio_range_coded_n_q_9",
    "audio_range_coded_n_q_32",
    "audio_waveform_layer_n_q_9",
    "audio_waveform_layer_n_q_17",
    "audio_waveform_layer_n_q_32",
    "audio_by_frame_2.5_kbps",
    "audio_by_frame_8_kbps",
    "audio_by_frame_n_q_38",
    "audio_stereo_1.5_kbps",
  ])("%s", async (name) => {
    const recording = await Recording.open(bytes(`${name}.josie`), find);
    const { channels } = await recording.decode(recording.levels);
    const want = samples(bytes(`${name}.0.samples.bin`), 32767);
    channels.forEach((channel, c) => {
      const own = want.subarray(c * channel.length, (c + 1) * channel.length);
      expect(own.length).toBe(channel.length);
      const error = 10 * Math.log10(relativeError(channel, own));
      console.log(`${name}: ${error.toFixed(1)} dB`);
      expect(error).toBeLessThan(-35);
    });
  });
});
