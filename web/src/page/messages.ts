import type { Image } from "../picture/image";

/** What the page asks of its worker. */
export type Request =
  | { do: "open"; data: Uint8Array<ArrayBuffer> }
  | { do: "encode"; samples: Float32Array; rate: number; original: { rate: number; channels: number } }
  | { do: "decode"; levels: number }
  | { do: "file"; levels: number }
  | { do: "openPicture"; data: Uint8Array<ArrayBuffer> }
  | { do: "encodePicture"; image: Image; step: number }
  | { do: "warm" };

/** What there is to say of a recording. */
export interface Facts {
  model: string;
  levels: number;
  baseLevels: number;
  /** Levels that are played, of files with layers that the page does not decode. */
  playable: number;
  seconds: number;
  stereo: boolean;
  bytes: number | undefined;
  problems: string[];
}

/** What there is to say of a picture. */
export interface PictureFacts {
  model: string;
  width: number;
  height: number;
  transparent: boolean;
  grey: boolean;
  bytes: number;
  problems: string[];
}

/** What the worker answers, each to the request of its number. */
export type Answer =
  | { id: number; kind: "progress"; share: number }
  | { id: number; kind: "facts"; facts: Facts }
  | { id: number; kind: "sound"; rate: number; channels: Float32Array<ArrayBuffer>[] }
  | { id: number; kind: "file"; data: Uint8Array<ArrayBuffer> }
  /** `png` is what it looks like, `file` what was encoded. */
  | {
      id: number;
      kind: "picture";
      facts: PictureFacts;
      png: Uint8Array<ArrayBuffer>;
      file: Uint8Array<ArrayBuffer> | undefined;
    }
  | { id: number; kind: "done" }
  /** `expected`: in words for whoever brought the file; else a fault of the page. */
  | { id: number; kind: "error"; text: string; expected: boolean };
