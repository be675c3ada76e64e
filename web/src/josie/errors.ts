/** What is wrong with a file, in words for whoever brought it. */
export class JosieError extends Error {
  override name = "JosieError";
}

/** Throws unless something holds. */
export function check(holds: boolean, text: string): asserts holds {
  if (!holds) throw new JosieError(text);
}
