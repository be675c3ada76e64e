import { check, JosieError } from "../josie/errors";
import type { Image } from "./image";

/** Larger pictures are for the command line: everything is kept in memory here. */
export const MAX_PIXELS = 2 ** 24;

/** Reads a file of a picture by the browser's decoders, in sRGB and as it is meant to be turned. */
export async function readPicture(file: Blob, name: string): Promise<Image> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file, { premultiplyAlpha: "none", imageOrientation: "from-image" });
  } catch {
    throw new JosieError(`${name} is no picture that this browser can read.`);
  }
  const { width, height } = bitmap;
  checkSize(width, height, name, "encode");
  const context = new OffscreenCanvas(width, height).getContext("2d", { colorSpace: "srgb" })!;
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const { data } = context.getImageData(0, 0, width, height);
  return { width, height, pixels: data as Uint8ClampedArray<ArrayBuffer> };
}

export function checkSize(width: number, height: number, name: string, command: "encode" | "decode"): void {
  check(
    width * height <= MAX_PIXELS,
    `${name} has ${width} × ${height} pixels, more than this page takes: use josiecodec ${command}.`,
  );
}
