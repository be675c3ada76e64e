/** The codec, beside the page, so that the page stays responsive. One recording is open at a time. */
import runtime from "onnxruntime-web/ort-wasm-simd-threaded.mjs?url";
import binary from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import { env } from "onnxruntime-web/wasm";
import { JosieError } from "../josie/errors";
import { ModelFiles } from "../model/model_files";
import { Recording } from "../sound/recording";
import { resample } from "../sound/resample";
import type { Answer, Facts, Request } from "./messages";

const MOST_THREADS = 4;
env.wasm.numThreads = self.crossOriginIsolated
  ? Math.min(MOST_THREADS, Math.ceil((navigator.hardwareConcurrency || 1) / 2))
  : 1;

const here = (address: string) => new URL(address, self.location.href).href;
env.wasm.wasmPaths = { mjs: here(runtime), wasm: here(binary) };

const MODELS = new URL("models/", new URL(self.name, self.location.origin));
const kept = new Map<string, Promise<ModelFiles>>();
let open: Recording | undefined;
let size: number | undefined;

async function fetcher(path: string): Promise<Uint8Array> {
  const found = await fetch(new URL(path, MODELS));
  if (!found.ok) throw new JosieError(`The page cannot load ${path} (${found.status}).`);
  return new Uint8Array(await found.arrayBuffer());
}

/** Models that were used stay loaded. */
function find(wanted?: { fingerprint: string; model: string }): Promise<ModelFiles> {
  const key = wanted?.fingerprint ?? "";
  if (!kept.has(key)) {
    const made = ModelFiles.find(fetcher, wanted);
    made.catch(() => kept.delete(key));
    kept.set(key, made);
  }
  return kept.get(key)!;
}

function facts(recording: Recording): Facts {
  return {
    model: recording.info.model,
    levels: recording.levels,
    baseLevels: recording.model.baseLevels,
    playable: recording.playable,
    seconds: recording.length / recording.info.audio!.sampleRate,
    stereo: recording.stereo,
    bytes: size,
    problems: recording.problems,
  };
}

async function answer(id: number, request: Request): Promise<Answer> {
  const progress = (share: number) => {
    // What was asked for since, as by a slider that moves on, is all that is wanted.
    if (id !== newest) throw new JosieError("Something else was asked for.");
    post({ id, kind: "progress", share });
  };
  switch (request.do) {
    case "warm": {
      const model = await find();
      await Promise.all([model.graph("encoder", "base"), model.graph("decoder", "base"), model.tables()]);
      return { id, kind: "done" };
    }
    case "open":
      open = await Recording.open(request.data, find);
      size = request.data.length;
      return { id, kind: "facts", facts: facts(open) };
    case "encode": {
      const model = await find();
      const samples = resample(request.samples, request.rate, model.config.sample_rate);
      open = await Recording.encode(samples, request.original, model, progress);
      size = (await open.toFile(open.levels)).length;
      return { id, kind: "facts", facts: facts(open) };
    }
    case "decode": {
      progress(0);
      const { rate, channels } = await open!.decode(request.levels, progress);
      return { id, kind: "sound", rate, channels: channels as Float32Array<ArrayBuffer>[] };
    }
    case "file":
      return { id, kind: "file", data: await open!.toFile(request.levels) };
  }
}

function post(message: Answer): void {
  const buffers = message.kind === "sound" ? message.channels.map((channel) => channel.buffer) : [];
  self.postMessage(message, { transfer: buffers });
}

let newest = 0;
let queue: Promise<void> = Promise.resolve();

self.onmessage = ({ data }: MessageEvent<{ id: number; request: Request }>) => {
  newest = data.id;
  queue = queue.then(async () => {
    try {
      post(await answer(data.id, data.request));
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      post({ id: data.id, kind: "error", text, expected: error instanceof JosieError });
    }
  });
};
