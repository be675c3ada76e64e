/** The element of an id, which the page has. */
export function element<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

/** Puts a file behind a link, in place of the one before. */
export function offer(link: HTMLAnchorElement, data: Uint8Array<ArrayBuffer>, name: string): void {
  if (link.href.startsWith("blob:")) URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(new Blob([data]));
  link.download = name;
  link.hidden = false;
}

/** Fills a list of terms and what they are. */
export function listFacts(id: string, rows: [string, string][]): void {
  element(id).replaceChildren(
    ...rows.map(([term, value]) => {
      const row = document.createElement("div");
      row.append(Object.assign(document.createElement("dt"), { textContent: term }));
      row.append(Object.assign(document.createElement("dd"), { textContent: value }));
      return row;
    }),
  );
}

/** Fills a list of remarks, which is not seen without any. */
export function listNotes(id: string, notes: string[]): void {
  element(id).replaceChildren(
    ...notes.map((text) => Object.assign(document.createElement("li"), { textContent: text })),
  );
  element(id).hidden = !notes.length;
}

/** Numbers as people read them. */
export function seconds(value: number): string {
  if (value < 60) return `${value.toFixed(1)} s`;
  return `${Math.floor(value / 60)}:${String(Math.floor(value % 60)).padStart(2, "0")} min`;
}

export function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`;
  return bytes < 1e6 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
