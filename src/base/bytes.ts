/** Loops over many bytes, four at a time: JavaScript has no call for either question. */

const WORD_BYTES = 4;

/** Whether all bytes from `from` up to `to` are zero. */
export function isZero(bytes: Uint8Array, from = 0, to = bytes.length): boolean {
  let at = from;
  if ((bytes.byteOffset + from) % WORD_BYTES === 0) {
    const count = Math.floor((to - from) / WORD_BYTES);
    const words = new Int32Array(bytes.buffer, bytes.byteOffset + from, count);
    if (!areZero(words)) return false;
    at += count * WORD_BYTES;
  }
  for (; at < to; at += 1) if (bytes[at] !== 0) return false;
  return true;
}

function areZero(words: Int32Array): boolean {
  const end = words.length;
  let i = 0;
  for (; i + 8 <= end; i += 8) {
    const some =
      words[i]! |
      words[i + 1]! |
      words[i + 2]! |
      words[i + 3]! |
      words[i + 4]! |
      words[i + 5]! |
      words[i + 6]! |
      words[i + 7]!;
    if (some !== 0) return false;
  }
  for (; i < end; i += 1) if (words[i] !== 0) return false;
  return true;
}

/** Index of the first byte in which the two differ, at or after `from`; the length where none does. */
export function firstDifference(a: Uint8Array, b: Uint8Array, from = 0): number {
  let at = from;
  if ((a.byteOffset + from) % WORD_BYTES === 0 && (b.byteOffset + from) % WORD_BYTES === 0) {
    const count = Math.floor((a.length - from) / WORD_BYTES);
    const left = new Int32Array(a.buffer, a.byteOffset + from, count);
    const right = new Int32Array(b.buffer, b.byteOffset + from, count);
    at += firstDifferentWord(left, right) * WORD_BYTES;
  }
  while (at < a.length && a[at] === b[at]) at += 1;
  return at;
}

function firstDifferentWord(a: Int32Array, b: Int32Array): number {
  const end = a.length;
  let i = 0;
  for (; i + 4 <= end; i += 4) {
    const some =
      (a[i]! ^ b[i]!) | (a[i + 1]! ^ b[i + 1]!) | (a[i + 2]! ^ b[i + 2]!) | (a[i + 3]! ^ b[i + 3]!);
    if (some !== 0) break;
  }
  while (i < end && a[i] === b[i]) i += 1;
  return i;
}
