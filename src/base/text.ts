/**
 * Text that came from an image. Names and ids are bytes on disk: they are kept as bytes, decoded
 * for programs, and escaped for people.
 */
const lossy = new TextDecoder('utf-8', { ignoreBOM: true });
const strict = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });
const encoder = new TextEncoder();

export function utf8Bytes(text: string): Uint8Array {
  return encoder.encode(text);
}

/** Decodes UTF-8; invalid sequences become U+FFFD, as in QEMU's JSON. */
export function utf8Text(bytes: Uint8Array): string {
  return lossy.decode(bytes);
}

export function isValidUtf8(bytes: Uint8Array): boolean {
  try {
    strict.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

/** Whether two ids, names or other few bytes are the same; `hasSameBytes` is for many. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  let i = 0;
  while (i < a.length && a[i] === b[i]) i += 1;
  return i === a.length && i === b.length;
}

/** Lower-case hex of some bytes. */
export function hexOfBytes(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * Characters that no terminal may get: control characters; format characters, such as the right-to-left override, which
 * make a line look like another one; line and paragraph separators; lone surrogates. The backslash is escaped so that
 * the output is unambiguous.
 */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\\]/u;

/**
 * Bytes from an image as one printable line: valid, printable UTF-8 stays; everything else is
 * shown as `\n`, `\xNN` or `\u{N}`.
 */
export function printable(bytes: Uint8Array): string {
  if (isPrintable(bytes)) return utf8Text(bytes);
  let out = '';
  for (let i = 0; i < bytes.length;) {
    const length = sequenceLength(bytes, i);
    if (length === 0) {
      out += `\\x${bytes[i]!.toString(16).padStart(2, '0')}`;
      i += 1;
      continue;
    }
    out += printableCharacter(utf8Text(bytes.subarray(i, i + length)));
    i += length;
  }
  return out;
}

/** Whether `printable` has nothing to escape. */
export function isPrintable(bytes: Uint8Array): boolean {
  return isValidUtf8(bytes) && !UNSAFE.test(utf8Text(bytes));
}

/** `printable` for text that is a string already (a path, a backing name). */
export function printableText(text: string): string {
  return printable(utf8Bytes(text));
}

function printableCharacter(character: string): string {
  if (!UNSAFE.test(character)) return character;
  if (character === '\n') return '\\n';
  if (character === '\r') return '\\r';
  if (character === '\t') return '\\t';
  if (character === '\\') return '\\\\';
  const code = character.codePointAt(0)!;
  if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`;
  return `\\u{${code.toString(16)}}`;
}

/** Length of the valid UTF-8 sequence at `at`, or 0. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at]!;
  const length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (length === 0 || at + length > bytes.length) return 0;
  return isValidUtf8(bytes.subarray(at, at + length)) ? length : 0;
}

/** A number with its noun: "1 cluster", "3 clusters". */
export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : plural}`;
}
