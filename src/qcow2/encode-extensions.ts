import { roundUp } from '../base/units.js';

/** A header extension as it is stored. */
export interface RawExtension {
  readonly type: number;
  readonly bytes: Uint8Array;
}

/** Writes extensions one behind the other; what lies behind the last one has to be zeros, which end them. */
export function encodeExtensions(
  extensions: readonly RawExtension[],
  into: Uint8Array,
  from: number,
): void {
  const view = new DataView(into.buffer, into.byteOffset, into.byteLength);
  let at = from;
  for (const { type, bytes } of extensions) {
    view.setUint32(at, type);
    view.setUint32(at + 4, bytes.length);
    into.set(bytes, at + 8);
    at += 8 + roundUp(bytes.length, 8);
  }
}
