import { JosieError } from "../josie/errors";
import type { Answer, Request } from "./messages";

type Reply<K extends Answer["kind"]> = Extract<Answer, { kind: K }>;

/** The page's side of the worker: requests and their answers. */
export class Client {
  private readonly worker: Worker;
  private readonly waiting = new Map<
    number,
    { resolve: (answer: Answer) => void; reject: (error: Error) => void; progress: (share: number) => void }
  >();
  private next = 0;

  constructor() {
    // The worker looks for models beside the page, whose address is not its own: its name tells it.
    const name = new URL(".", document.baseURI).pathname;
    this.worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name });
    this.worker.onmessage = ({ data }: MessageEvent<Answer>) => this.take(data);
    this.worker.onerror = (event) => {
      for (const { reject } of this.waiting.values()) reject(new Error(event.message || "the codec cannot be loaded"));
      this.waiting.clear();
    };
  }

  /** Asks, and waits for an answer of one kind. */
  ask<K extends Answer["kind"]>(kind: K, request: Request, progress: (share: number) => void = () => {}) {
    const id = this.next++;
    return new Promise<Reply<K>>((resolve, reject) => {
      const take = (answer: Answer) => {
        if (answer.kind === kind) resolve(answer as Reply<K>);
        else reject(new Error(`an answer of kind ${answer.kind}`));
      };
      this.waiting.set(id, { resolve: take, reject, progress });
      this.worker.postMessage({ id, request });
    });
  }

  private take(answer: Answer): void {
    const waiting = this.waiting.get(answer.id);
    if (answer.kind === "progress") {
      waiting?.progress(answer.share);
      return;
    }
    this.waiting.delete(answer.id);
    if (answer.kind === "error")
      waiting?.reject(answer.expected ? new JosieError(answer.text) : new Error(answer.text));
    else waiting?.resolve(answer);
  }
}
