import { check, JosieError } from "./errors";

/** Little-endian numbers from bytes, one after the other. */
export class ByteReader {
  readonly view: DataView;

  constructor(
    readonly data: Uint8Array,
    public at = 0,
    readonly end = data.length,
  ) {
    this.view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  }

  get left(): number {
    return this.end - this.at;
  }

  private step(size: number): number {
    if (size > this.left) throw new JosieError("it ends too early");
    this.at += size;
    return this.at - size;
  }

  u8(): number {
    return this.data[this.step(1)]!;
  }

  u16(): number {
    return this.view.getUint16(this.step(2), true);
  }

  u32(): number {
    return this.view.getUint32(this.step(4), true);
  }

  /** An unsigned number of 48 bits. */
  u48(): number {
    return this.u32() + this.u16() * 2 ** 32;
  }

  bytes(size: number): Uint8Array {
    const first = this.step(size);
    return this.data.subarray(first, first + size);
  }

  /** An unsigned LEB128 number, at most `most`. */
  varint(most: number): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.u8();
      value += (byte & 127) * scale;
      check(value <= most, `a number above ${most}`);
      if (byte < 128) return value;
      check(scale < 2 ** 42, "a number without end");
    }
  }
}

/** Little-endian numbers to bytes. */
export class ByteWriter {
  private data = new Uint8Array(1024);
  length = 0;

  private step(size: number): number {
    const first = this.length;
    this.length += size;
    if (this.length > this.data.length) {
      const more = new Uint8Array(Math.max(this.length, 2 * this.data.length));
      more.set(this.data.subarray(0, first));
      this.data = more;
    }
    return first;
  }

  u8(value: number): void {
    const at = this.step(1); // first, for it may replace the array
    this.data[at] = value;
  }

  u32(value: number): void {
    for (let shift = 0; shift < 32; shift += 8) this.u8((value >>> shift) & 255);
  }

  u48(value: number): void {
    this.u32(value % 2 ** 32);
    this.u8(Math.floor(value / 2 ** 32) & 255);
    this.u8(Math.floor(value / 2 ** 40) & 255);
  }

  varint(value: number): void {
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.u8((rest % 128) + 128);
    this.u8(rest);
  }

  bytes(data: Uint8Array): void {
    const first = this.step(data.length);
    this.data.set(data, first);
  }

  /** All bytes so far. */
  done(): Uint8Array<ArrayBuffer> {
    return this.data.slice(0, this.length);
  }
}
