/**
 * An image's method of encryption and the header extension that goes with it stay together under all damage:
 * another program was seen to end without an answer where they part.
 */
import { EXTENSION_TYPE } from '../../src/qcow2/spec.js';

const METHOD = { at: 32, bytes: 4 } as const;
const WITH_HEADER = 2;

/** Takes back the claim of a damaged image to be encrypted, where the extension does not bear it out. */
export function settleEncryption(bytes: Uint8Array): void {
  if (bytes.length < METHOD.at + METHOD.bytes) return;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(METHOD.at) !== WITH_HEADER || hasExtension(view)) return;
  view.setUint32(METHOD.at, 0);
}

function hasExtension(view: DataView): boolean {
  if (view.byteLength < 104) return false;
  const backingNameAt = Number(view.getBigUint64(8));
  const end = Math.min(backingNameAt === 0 ? Infinity : backingNameAt, view.byteLength);
  let at = view.getUint32(4) === 2 ? 72 : view.getUint32(100);
  while (at + 8 <= end) {
    const type = view.getUint32(at);
    if (type === EXTENSION_TYPE.encryptionHeader) return true;
    if (type === 0) return false;
    at += 8 + Math.ceil(view.getUint32(at + 4) / 8) * 8;
  }
  return false;
}
