import { describe, expect, test } from "vitest";
import { readJosie } from "../src/josie/blocks";
import { ByteWriter } from "../src/josie/bytes";
import { JosieError } from "../src/josie/errors";
import { ModelFiles } from "../src/model/model_files";
import { Recording } from "../src/sound/recording";
import { bytes, fetcher, there } from "./files";

const find = (wanted: { fingerprint: string; model: string }) => ModelFiles.find(fetcher, wanted);

test("bytes are kept when the room for them grows", () => {
  for (const before of [1022, 1023, 1024, 2047]) {
    const out = new ByteWriter();
    out.bytes(new Uint8Array(before).fill(7));
    out.u32(0x01020304);
    out.varint(300);
    expect([...out.done().subarray(before)]).toEqual([4, 3, 2, 1, 172, 2]);
  }
});

describe.skipIf(!there)("damaged files", () => {
  test("whatever byte is wrong, it is noticed", () => {
    const whole = bytes("audio_range_coded_n_q_9.josie");
    expect(readJosie(whole).problems).toEqual([]);
    for (let at = 0; at < whole.length; at++) {
      const broken = whole.slice();
      broken[at]! ^= 0x11;
      try {
        expect(readJosie(broken).problems.length, `byte ${at}`).toBeGreaterThan(0);
      } catch (error) {
        expect(error, `byte ${at}`).toBeInstanceOf(JosieError);
      }
    }
  });

  test("wherever it is cut off, it is noticed", () => {
    const whole = bytes("audio_range_coded_n_q_9.josie");
    for (let end = 0; end < whole.length; end++) {
      try {
        expect(readJosie(whole.slice(0, end)).problems.length, `${end} bytes`).toBeGreaterThan(0);
      } catch (error) {
        expect(error, `${end} bytes`).toBeInstanceOf(JosieError);
      }
    }
  });

  test("a block that is lost is silence", async () => {
    const whole = bytes("ten.josie");
    const broken = whole.slice();
    broken[100]! ^= 1; // in the first of its two blocks
    const recording = await Recording.open(broken, find);
    expect(recording.problems.length).toBeGreaterThan(0);
    const { channels } = await recording.decode(9);
    expect(channels[0]!.length).toBe(240000);
    expect(channels[0]!.subarray(0, 192000).every((x) => x === 0)).toBe(true);
    expect(channels[0]!.subarray(192000).some((x) => Math.abs(x) > 0.01)).toBe(true);
  });
});
