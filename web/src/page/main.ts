import { JosieError } from "../josie/errors";
import { readHeader } from "../josie/header";
import { readSound } from "../sound/input";
import { Client } from "./client";
import { element } from "./elements";
import { Microphone } from "./microphone";
import { PictureView } from "./picture_view";
import { SoundView } from "./sound_view";
import { type Job, say, work } from "./work";

const client = new Client();
const sounds = new SoundView(client);
const pictures = new PictureView(client);
const drop = element<HTMLElement>("drop");
const input = element<HTMLInputElement>("file");
const recordButton = element<HTMLButtonElement>("record");

let microphone: Microphone | undefined;

async function bring(file: File): Promise<void> {
  await work(`Reading ${file.name} …`, async (job) => {
    if (/^video\//.test(file.type)) {
      throw new JosieError(
        `${file.name} is a video. This page takes sound and pictures; josiecodec encode FILE takes it.`,
      );
    }
    const name = file.name.replace(/\.[^.]*$/, "");
    const data = new Uint8Array(await file.arrayBuffer());
    if (isJosie(data) || /\.josie$/i.test(file.name)) return open(data, name, job);
    if (/^image\//.test(file.type)) {
      await pictures.encode(file, name, job);
      if (job.current()) sounds.hide();
      return;
    }
    const sound = await readSound(data, file.name);
    if (job.current()) await sounds.encode(sound, name, job);
    if (job.current()) pictures.hide();
  });
}

function isJosie(data: Uint8Array): boolean {
  return data[0] === 0x89 && String.fromCharCode(...data.subarray(1, 6)) === "JOSIE";
}

/** Shows a file: its sound if it has some, else its picture. */
async function open(data: Uint8Array<ArrayBuffer>, name: string, job: Job): Promise<void> {
  const { streams } = readHeader(data);
  const picture = streams.find((stream) => stream.kind === "vision");
  if (picture && !streams.some((stream) => stream.kind === "audio")) {
    await pictures.open(data, name, picture.vision!, job);
    if (job.current()) sounds.hide();
  } else {
    await sounds.open(data, name, job);
    if (job.current()) pictures.hide();
  }
}

async function record(): Promise<void> {
  if (microphone) {
    const running = microphone;
    microphone = undefined;
    recordButton.textContent = "Record";
    recordButton.setAttribute("aria-pressed", "false");
    await work("Reading the recording …", async (job) => {
      await sounds.encode(await running.stop(), "recording", job);
      if (job.current()) pictures.hide();
    });
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
document.addEventListener("paste", (event) => {
  const file = event.clipboardData?.files[0];
  if (file) void bring(file);
});

// The codec is loaded before it is asked for; if that fails, the first request says why.
client.ask("done", { do: "warm" }).catch(() => {});
