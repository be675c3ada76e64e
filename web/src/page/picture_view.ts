import type { Image } from "../picture/image";
import { checkSize, readPicture } from "../picture/input";
import type { Client } from "./client";
import { element, listFacts, listNotes, offer, size } from "./elements";
import type { PictureFacts } from "./messages";
import { type Job, say, work } from "./work";

/** Index of the step of the detail at each quality, the smallest files first. */
const STEPS = [112, 100, 88, 76, 64, 52, 40, 28, 16];

/** Pictures: seen, and coded at the quality that the slider says. */
export class PictureView {
  private readonly image = element<HTMLImageElement>("picture");
  private readonly slider = element<HTMLInputElement>("quality");
  /** What was brought, and by what name. */
  private original: { image: Image; address: string; name: string } | undefined;
  private decoded = "";

  constructor(private readonly client: Client) {
    this.slider.max = String(STEPS.length);
    this.slider.addEventListener("input", () => this.label());
    this.slider.addEventListener("change", () => void work("Encoding …", (job) => this.refresh(job)));
    element("looks").addEventListener("change", () => this.look());
  }

  /** Opens a file; `width` and `height` are what its header says. */
  async open(
    data: Uint8Array<ArrayBuffer>,
    name: string,
    { width, height }: { width: number; height: number },
    job: Job,
  ): Promise<void> {
    checkSize(width, height, `${name}.josie`, "decode");
    const { facts, png } = await this.client.ask("picture", { do: "openPicture", data }, job.progress);
    if (!job.current()) return;
    this.forget();
    this.show(name, facts, png);
  }

  /** Encodes the picture of a file. */
  async encode(file: File, name: string, job: Job): Promise<void> {
    const image = await readPicture(file, file.name);
    if (!job.current()) return;
    this.forget();
    this.original = { image, address: URL.createObjectURL(file), name };
    await this.refresh(job);
  }

  /** Makes room for something else. */
  hide(): void {
    element("seen").hidden = true;
  }

  private forget(): void {
    if (this.original) URL.revokeObjectURL(this.original.address);
    this.original = undefined;
    element<HTMLElement>("looks").querySelector<HTMLInputElement>("[value=decoded]")!.checked = true;
  }

  /** Encodes at the quality of the slider, and shows what that looks like. */
  private async refresh(job: Job): Promise<void> {
    const { image, name } = this.original!;
    this.label();
    say(`Encoding ${name} …`);
    const asked = { do: "encodePicture" as const, image, step: STEPS[Number(this.slider.value) - 1] };
    const { facts, png, file } = await this.client.ask("picture", asked, job.progress);
    if (job.current()) this.show(name, facts, png, file);
  }

  private show(name: string, facts: PictureFacts, png: Uint8Array<ArrayBuffer>, file?: Uint8Array<ArrayBuffer>): void {
    const { width, height, bytes, model, transparent, grey, problems } = facts;
    element("picture-title").textContent = name;
    listFacts("picture-facts", [
      ["Size", `${width} × ${height}`],
      ["File", size(bytes)],
      ["Rate", `${((8 * bytes) / (width * height)).toFixed(3)} bits per pixel`],
      ["Model", model],
      ["Colours", `${grey ? "grey" : "colour"}${transparent ? ", transparent" : ""}`],
    ]);
    listNotes("picture-notes", problems);
    element("quality-row").hidden = !file;
    element("looks").hidden = !file;
    if (file) offer(element("picture-josie"), file, `${name}.josie`);
    else element("picture-josie").hidden = true;
    offer(element("png"), png, `${name}.png`);
    if (this.decoded) URL.revokeObjectURL(this.decoded);
    this.decoded = URL.createObjectURL(new Blob([png], { type: "image/png" }));
    this.image.width = width;
    this.image.height = height;
    this.look();
    element("seen").hidden = false;
    say(`${name}: ${width} × ${height} pixels in ${size(bytes)}`);
  }

  private look(): void {
    const chosen = document.querySelector<HTMLInputElement>("[name=look]:checked")?.value;
    const own = this.original !== undefined && chosen === "original";
    this.image.src = own ? this.original!.address : this.decoded;
    this.image.alt = own ? "The picture as it was" : "The decoded picture";
  }

  private label(): void {
    element("quality-shown").textContent = `${this.slider.value} of ${STEPS.length}`;
  }
}
