import { describe, expect, test } from "vitest";
import { blocksOf, readJosie } from "../src/josie/blocks";
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
    "audio_gain_2.5_kbps",
    "audio_gain_stereo",
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

describe.skipIf(!there)("marks", () => {
  interface Marked {
    stretches: { marks: Map<number, { levels: number; phase: number }> }[];
  }
  const decoded = async (change: (marks: Marked["stretches"][0]["marks"]) => void, levels = 12) => {
    const recording = await Recording.open(bytes("audio_marked.josie"), find);
    change((recording as unknown as Marked).stretches[0]!.marks);
    return (await recording.decode(levels)).channels[0]!;
  };
  const halfTurn = (marks: Marked["stretches"][0]["marks"]) => {
    const mark = marks.get(100)!;
    marks.set(100, { ...mark, phase: (mark.phase + 2 ** 31) % 2 ** 32 });
  };

  test("levels after the base go on with the phase of the encoder", async () => {
    const said = await decoded((marks) => expect([...marks.keys()]).toEqual([100]));
    const counted = await decoded((marks) => marks.clear());
    const turned = await decoded(halfTurn);
    const before = 97 * 1920; // samples that a mark before frame 100 cannot reach
    expect(relativeError(counted, said)).toBeLessThan(1e-6); // nothing has drifted apart after eight seconds
    expect(relativeError(turned.subarray(0, before), said.subarray(0, before))).toBe(0);
    expect(relativeError(turned.subarray(before), said.subarray(before))).toBeGreaterThan(1e-3);
  }, 300_000);

  test("the base alone does without", async () => {
    expect(relativeError(await decoded(halfTurn, 9), await decoded(() => {}, 9))).toBe(0);
  });
});

const others: string[] = there ? JSON.parse(new TextDecoder().decode(bytes("others.json"))) : [];

describe.skipIf(!there)("files with pictures", () => {
  test.each(others)("%s: its header and blocks", (name) => {
    const file = readJosie(bytes(`${name}.josie`));
    const said = JSON.parse(new TextDecoder().decode(bytes(`${name}.json`)));
    const { streams } = said as { streams: Record<string, unknown>[] };
    const cut = name.includes("cut_off"); // of which Python says the length that is there
    const facts = (stream: Record<string, unknown>, size: unknown) => {
      if (stream.kind === "alpha") return "alpha";
      return [stream.levels, stream.model, stream.fingerprint, size, cut || stream.length];
    };
    expect(file.header.streams.map((info) => facts({ ...info }, info.codebookSize))).toEqual(
      streams.map((stream) => facts(stream, stream.codebook_size)),
    );
    file.header.streams.forEach((info, i) => {
      if (info.vision) expect([info.vision.width, info.vision.height]).toEqual([streams[i]!.width, streams[i]!.height]);
      blocksOf(file, i);
    });
    expect(file.problems.length > 0).toBe(cut);
  });

  test("of a video with sound the sound is played, of others nothing", async () => {
    const film = await Recording.open(bytes("video_with_sound.josie"), find);
    expect(film.problems.join()).toMatch(/pictures are not shown/);
    expect((await film.decode(film.levels)).channels[0]!.length).toBe(film.length);
    await expect(Recording.open(bytes("image_detail.josie"), find)).rejects.toThrow(/picture/);
  });
});
