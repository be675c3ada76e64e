/** The codec, beside the page, so that the page stays responsive. One recording is open at a time. */
import runtime from "onnxruntime-web/ort-wasm-simd-threaded.mjs?url";
import binary from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import { env } from "onnxruntime-web/wasm";
import { readJosie } from "../josie/blocks";
import { JosieError } from "../josie/errors";
import { ModelFiles, type Wanted } from "../model/model_files";
import { PictureFiles } from "../picture/model";
import { Picture } from "../picture/picture";
import { writePng } from "../picture/png";
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
let open: Recording | undefined;
let size: number | undefined;

async function fetcher(path: string): Promise<Uint8Array> {
  const found = await fetch(new URL(path, MODELS));
  if (!found.ok) throw new JosieError(`The page cannot load ${path} (${found.status}).`);
  return new Uint8Array(await found.arrayBuffer());
}

/** Models that were used stay loaded. */
function keeping<T>(make: (wanted?: Wanted) => Promise<T>): (wanted?: Wanted) => Promise<T> {
  const kept = new Map<string, Promise<T>>();
  return (wanted) => {
    const key = wanted?.fingerprint ?? "";
    if (!kept.has(key)) {
      const made = make(wanted);
      made.catch(() => kept.delete(key));
      kept.set(key, made);
    }
    return kept.get(key)!;
  };
}
const find = keeping((wanted) => ModelFiles.find(fetcher, wanted));
const findPictures = keeping((wanted) => PictureFiles.find(fetcher, wanted));

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

async function shown(id: number, picture: Picture, bytes: number, progress: (share: number) => void): Promise<Answer> {
  progress(0);
  const png = await writePng(await picture.draw(progress));
  const { info, width, height, transparent, problems, file } = picture;
  const facts = { model: info.model, width, height, transparent, grey: info.vision!.grey, bytes, problems };
  return { id, kind: "picture", facts, png, file };
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
    case "openPicture":
      return shown(id, await Picture.open(readJosie(request.data), findPictures), request.data.length, progress);
    case "encodePicture": {
      const { image, step } = request;
      const files = await findPictures();
      const picture = await Picture.encode(image, step, files, (share) => progress(0.7 * share));
      return shown(id, picture, picture.file!.length, (share) => progress(0.7 + 0.3 * share));
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
