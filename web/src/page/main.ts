import { JosieError } from "../josie/errors";
import { readSound } from "../sound/input";
import { toMono } from "../sound/mono";
import type { Sound } from "../sound/wav";
import { Client } from "./client";
import { element, offer, seconds, size } from "./elements";
import type { Facts } from "./messages";
import { Microphone } from "./microphone";
import { Player } from "./player";

const client = new Client();
const player = new Player();
const drop = element<HTMLElement>("drop");
const input = element<HTMLInputElement>("file");
const recordButton = element<HTMLButtonElement>("record");
const slider = element<HTMLInputElement>("levels");
const bar = element<HTMLProgressElement>("progress");

/** What is shown: a recording, by what name, and what it was made of. */
let shown: { name: string; facts: Facts; original: Sound | undefined } | undefined;
/** Counts what was asked for: an answer to an earlier question is not shown. */
let turn = 0;
let microphone: Microphone | undefined;

function say(text: string): void {
  element("status").textContent = text;
}

function complain(error: unknown): void {
  const text = error instanceof Error ? error.message : String(error);
  element("error").textContent = error instanceof JosieError ? text : `The page failed: ${text}`;
  element("error").hidden = false;
  say("");
}

/** Does something that takes a while: shows how far it is, and what went wrong. */
async function work(text: string, task: (progress: (share: number) => void) => Promise<void>): Promise<void> {
  const own = ++turn;
  element("error").hidden = true;
  say(text);
  bar.removeAttribute("value");
  bar.hidden = false;
  document.body.setAttribute("aria-busy", "true");
  try {
    await task((share) => {
      if (own === turn) bar.value = share;
    });
  } catch (error) {
    if (own === turn) complain(error);
  } finally {
    if (own === turn) {
      bar.hidden = true;
      document.body.removeAttribute("aria-busy");
    }
  }
}

async function bring(file: File): Promise<void> {
  await work(`Reading ${file.name} …`, async (progress) => {
    const own = turn;
    if (/^(image|video)\//.test(file.type)) {
      throw new JosieError(
        `${file.name} is a picture or a video. This page takes sound; josiecodec encode FILE takes it.`,
      );
    }
    const data = new Uint8Array(await file.arrayBuffer());
    if (isJosie(data) || /\.josie$/i.test(file.name)) {
      const { facts } = await client.ask("facts", { do: "open", data });
      if (own === turn) await show(file.name.replace(/\.josie$/i, ""), facts, undefined, [], progress);
      return;
    }
    const sound = await readSound(data, file.name);
    if (own === turn) await encode(sound, file.name.replace(/\.[^.]*$/, ""), progress);
  });
}

function isJosie(data: Uint8Array): boolean {
  return data[0] === 0x89 && String.fromCharCode(...data.subarray(1, 6)) === "JOSIE";
}

async function encode(sound: Sound, name: string, progress: (share: number) => void): Promise<void> {
  const own = turn;
  say(`Encoding ${name} …`);
  const { samples, notes } = toMono(sound);
  const original = { rate: sound.rate, channels: sound.channels.length };
  const { facts } = await client.ask("facts", { do: "encode", samples, rate: sound.rate, original }, progress);
  if (own === turn) await show(name, facts, { rate: sound.rate, channels: [samples] }, notes, progress);
}

async function show(
  name: string,
  facts: Facts,
  original: Sound | undefined,
  notes: string[],
  progress: (share: number) => void,
): Promise<void> {
  player.stop();
  shown = { name, facts, original };
  slider.max = String(facts.playable);
  slider.value = slider.max;
  slider.disabled = facts.playable === 1;
  element("versions").hidden = !original;
  element<HTMLInputElement>("versions").querySelector<HTMLInputElement>("[value=decoded]")!.checked = true;
  element("josie").hidden = true;
  element("title").textContent = name;
  list(facts);
  const all = [...facts.problems, ...notes];
  if (facts.playable < facts.levels) {
    all.push(
      `It has ${facts.levels} levels, of which this page plays the first ${facts.playable}; josiecodec decode FILE plays all.`,
    );
  }
  element("notes").replaceChildren(
    ...all.map((text) => Object.assign(document.createElement("li"), { textContent: text })),
  );
  element("notes").hidden = !all.length;
  await refresh(false, progress);
}

function list(facts: Facts): void {
  const rate = facts.seconds && facts.bytes ? `${((facts.bytes * 8) / 1000 / facts.seconds).toFixed(2)} kbit/s` : "–";
  const rows: [string, string][] = [
    ["Length", seconds(facts.seconds)],
    ["File", size(facts.bytes ?? 0)],
    ["Rate", rate],
    ["Model", facts.model],
    ["Channels", facts.stereo ? "2" : "1"],
  ];
  element("facts").replaceChildren(
    ...rows.map(([term, value]) => {
      const row = document.createElement("div");
      row.append(Object.assign(document.createElement("dt"), { textContent: term }));
      row.append(Object.assign(document.createElement("dd"), { textContent: value }));
      return row;
    }),
  );
}

function label(): void {
  element("shown").textContent = `${slider.value} of ${shown!.facts.levels}`;
}

/** Decodes the levels of the slider and shows them. */
async function refresh(again: boolean, progress: (share: number) => void): Promise<void> {
  const own = turn;
  const levels = Number(slider.value);
  const { name, facts, original } = shown!;
  label();
  if (original) {
    const { data } = await client.ask("file", { do: "file", levels });
    if (own !== turn) return;
    offer(element("josie"), data, `${name}.josie`);
    list({ ...facts, bytes: data.length });
  }
  if (wantsOriginal()) {
    player.show(original!, again, `${name}.wav`);
  } else {
    say(`Decoding ${levels} of ${facts.levels} levels …`);
    const { rate, channels } = await client.ask("sound", { do: "decode", levels }, progress);
    if (own !== turn) return;
    element("result").hidden = false;
    player.show({ rate, channels }, again, `${name}-${levels}.wav`);
  }
  say(`${name}: ${levels} of ${facts.levels} levels`);
}

function wantsOriginal(): boolean {
  const chosen = document.querySelector<HTMLInputElement>("[name=version]:checked");
  return shown?.original !== undefined && chosen?.value === "original";
}

async function record(): Promise<void> {
  if (microphone) {
    const running = microphone;
    microphone = undefined;
    recordButton.textContent = "Record";
    recordButton.setAttribute("aria-pressed", "false");
    await work("Reading the recording …", async (progress) => encode(await running.stop(), "recording", progress));
    return;
  }
  await work("Asking for the microphone …", async () => {
    microphone = await Microphone.start(() => microphone && void record());
    recordButton.textContent = "Stop";
    recordButton.setAttribute("aria-pressed", "true");
    say("Recording …");
  });
}

element("choose").addEventListener("click", () => input.click());
input.addEventListener("change", () => {
  const file = input.files?.[0];
  if (file) void bring(file);
  input.value = "";
});
recordButton.addEventListener("click", () => void record());
slider.addEventListener("input", label);
slider.addEventListener("change", () => void work("Decoding …", (progress) => refresh(true, progress)));
element("versions").addEventListener("change", () => void work("Decoding …", (progress) => refresh(true, progress)));
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  drop.classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) drop.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  const file = event.dataTransfer?.files[0];
  if (file) void bring(file);
});

// The codec is loaded before it is asked for; if that fails, the first request says why.
client.ask("done", { do: "warm" }).catch(() => {});
