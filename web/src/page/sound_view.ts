import { toMono } from "../sound/mono";
import type { Sound } from "../sound/wav";
import type { Client } from "./client";
import { element, listFacts, listNotes, offer, seconds, size } from "./elements";
import type { Facts } from "./messages";
import { Player } from "./player";
import { type Job, say, work } from "./work";

/** Recordings: heard, seen, and coded with as many levels as the slider says. */
export class SoundView {
  private readonly player = new Player();
  private readonly slider = element<HTMLInputElement>("levels");
  /** What is shown: a recording, by what name, and what it was made of. */
  private shown: { name: string; facts: Facts; original: Sound | undefined } | undefined;

  constructor(private readonly client: Client) {
    const again = () => void work("Decoding …", (job) => this.refresh(true, job));
    this.slider.addEventListener("input", () => this.label());
    this.slider.addEventListener("change", again);
    element("versions").addEventListener("change", again);
  }

  /** Opens a file. */
  async open(data: Uint8Array<ArrayBuffer>, name: string, job: Job): Promise<void> {
    const { facts } = await this.client.ask("facts", { do: "open", data });
    if (job.current()) await this.show(name, facts, undefined, [], job);
  }

  /** Encodes a sound. */
  async encode(sound: Sound, name: string, job: Job): Promise<void> {
    say(`Encoding ${name} …`);
    const { samples, notes } = toMono(sound);
    const original = { rate: sound.rate, channels: sound.channels.length };
    const asked = { do: "encode" as const, samples, rate: sound.rate, original };
    const { facts } = await this.client.ask("facts", asked, job.progress);
    if (job.current()) await this.show(name, facts, { rate: sound.rate, channels: [samples] }, notes, job);
  }

  /** Makes room for something else. */
  hide(): void {
    this.player.stop();
    element("result").hidden = true;
  }

  private async show(
    name: string,
    facts: Facts,
    original: Sound | undefined,
    notes: string[],
    job: Job,
  ): Promise<void> {
    this.player.stop();
    this.shown = { name, facts, original };
    this.slider.max = String(facts.playable);
    this.slider.value = this.slider.max;
    this.slider.disabled = facts.playable === 1;
    element("versions").hidden = !original;
    element<HTMLInputElement>("versions").querySelector<HTMLInputElement>("[value=decoded]")!.checked = true;
    element("josie").hidden = true;
    element("title").textContent = name;
    this.list(facts);
    const all = [...facts.problems, ...notes];
    if (facts.playable < facts.levels) {
      all.push(
        `It has ${facts.levels} levels, of which this page plays the first ${facts.playable}; josiecodec decode FILE plays all.`,
      );
    }
    listNotes("notes", all);
    await this.refresh(false, job);
  }

  private list(facts: Facts): void {
    const rate = facts.seconds && facts.bytes ? `${((facts.bytes * 8) / 1000 / facts.seconds).toFixed(2)} kbit/s` : "–";
    listFacts("facts", [
      ["Length", seconds(facts.seconds)],
      ["File", size(facts.bytes ?? 0)],
      ["Rate", rate],
      ["Model", facts.model],
      ["Channels", facts.stereo ? "2" : "1"],
    ]);
  }

  private label(): void {
    element("shown").textContent = `${this.slider.value} of ${this.shown!.facts.levels}`;
  }

  /** Decodes the levels of the slider and shows them. */
  private async refresh(again: boolean, job: Job): Promise<void> {
    const levels = Number(this.slider.value);
    const { name, facts, original } = this.shown!;
    this.label();
    if (original) {
      const { data } = await this.client.ask("file", { do: "file", levels });
      if (!job.current()) return;
      offer(element("josie"), data, `${name}.josie`);
      this.list({ ...facts, bytes: data.length });
    }
    if (original && this.wantsOriginal()) {
      this.player.show(original, again, `${name}.wav`);
    } else {
      say(`Decoding ${levels} of ${facts.levels} levels …`);
      const { rate, channels } = await this.client.ask("sound", { do: "decode", levels }, job.progress);
      if (!job.current()) return;
      element("result").hidden = false;
      this.player.show({ rate, channels }, again, `${name}-${levels}.wav`);
    }
    say(`${name}: ${levels} of ${facts.levels} levels`);
  }

  private wantsOriginal(): boolean {
    return document.querySelector<HTMLInputElement>("[name=version]:checked")?.value === "original";
  }
}
