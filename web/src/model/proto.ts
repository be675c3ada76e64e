/** Protocol buffers, as far as ONNX files need them: fields of a message, and messages from fields. */
export interface Field {
  number: number;
  /** Of a field with a length; else `value` is set. */
  data?: Uint8Array;
  value?: number;
  /** The field as it stands, with its tag. */
  raw: Uint8Array;
}

/** The fields of a message, in their order. */
export function* fields(message: Uint8Array): Generator<Field> {
  let at = 0;
  const varint = () => {
    let [value, scale] = [0, 1];
    for (;;) {
      const byte = message[at++];
      if (byte === undefined) throw new Error("a graph is cut off");
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
  };
  while (at < message.length) {
    const first = at;
    const tag = varint();
    const [number, kind] = [Math.floor(tag / 8), tag % 8];
    const field: Field = { number, raw: message };
    if (kind === 0) field.value = varint();
    else if (kind === 1) at += 8;
    else if (kind === 5) at += 4;
    else if (kind === 2) {
      const size = varint();
      field.data = message.subarray(at, at + size);
      at += size;
    } else throw new Error(`a field of kind ${kind} in a graph`);
    field.raw = message.subarray(first, at);
    yield field;
  }
}

function varint(value: number): number[] {
  const out: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) out.push((rest % 128) + 128);
  return [...out, rest];
}

/** A field with a length. */
export function bytesField(number: number, ...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const size = parts.reduce((sum, part) => sum + part.length, 0);
  return concat(Uint8Array.from([...varint(number * 8 + 2), ...varint(size)]), ...parts);
}

export function textField(number: number, text: string): Uint8Array<ArrayBuffer> {
  return bytesField(number, new TextEncoder().encode(text));
}

export function numberField(number: number, value: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from([...varint(number * 8), ...varint(value)]);
}

/** Bytes one after the other. */
export function concat(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
