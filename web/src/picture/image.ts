/** A picture as a canvas takes it: red, green, blue and alpha of each pixel. */
export interface Image {
  width: number;
  height: number;
  pixels: Uint8ClampedArray<ArrayBuffer>;
}
