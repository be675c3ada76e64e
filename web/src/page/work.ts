import { JosieError } from "../josie/errors";
import { element } from "./elements";

/** Something that takes a while: it tells how far it is, and asks whether something else was asked for since. */
export interface Job {
  progress: (share: number) => void;
  current: () => boolean;
}

const bar = element<HTMLProgressElement>("progress");
/** Counts what was asked for: an answer to an earlier question is not shown. */
let turn = 0;

export function say(text: string): void {
  element("status").textContent = text;
}

function complain(error: unknown): void {
  const text = error instanceof Error ? error.message : String(error);
  element("error").textContent = error instanceof JosieError ? text : `The page failed: ${text}`;
  element("error").hidden = false;
  say("");
}

/** Does something that takes a while: shows how far it is, and what went wrong. */
export async function work(text: string, task: (job: Job) => Promise<void>): Promise<void> {
  const own = ++turn;
  const current = () => own === turn;
  element("error").hidden = true;
  say(text);
  bar.removeAttribute("value");
  bar.hidden = false;
  document.body.setAttribute("aria-busy", "true");
  try {
    await task({
      current,
      progress: (share) => {
        if (current()) bar.value = share;
      },
    });
  } catch (error) {
    if (current()) complain(error);
  } finally {
    if (current()) {
      bar.hidden = true;
      document.body.removeAttribute("aria-busy");
    }
  }
}
