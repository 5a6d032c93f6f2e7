/**
 * Byte strings: one character a byte, codes 0 to 255. Arguments, names and paths are bytes to
 * qemu-img, and so they stay here from the command line to the output, valid UTF-8 or not.
 */
import { printable } from '../../../internal.js';

const STRICT = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function byteString(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

export function bytesOf(string: string): Uint8Array {
  return new Uint8Array(Buffer.from(string, 'latin1'));
}

/** A text as the byte string of its UTF-8 form. */
export function byteStringOfText(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** The text that a byte string is in UTF-8, or undefined where it is none. */
export function textOf(string: string): string | undefined {
  try {
    return STRICT.decode(bytesOf(string));
  } catch {
    return undefined;
  }
}

/** Bytes as a C program keeps them in an array: they end at the first zero and fit with one more. */
export function cString(bytes: Uint8Array, arrayBytes = Infinity): string {
  const zero = bytes.indexOf(0);
  const length = Math.min(zero === -1 ? bytes.length : zero, arrayBytes - 1);
  return byteString(bytes.subarray(0, length));
}

/** A byte string without what a terminal would obey: printable UTF-8 stays, the rest is escaped. */
export function terminalSafe(string: string): string {
  return byteStringOfText(printable(bytesOf(string)));
}

const CHARACTERS: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '\\': '\\' };

/** The bytes of which `printable` made a text. */
export function bytesOfPrintable(text: string): string {
  const escapes = /\\(?:x([0-9a-f]{2})|u\{([0-9a-f]+)\}|(.))|[^\\]+/gsu;
  return text.replace(escapes, (run, byte?: string, codePoint?: string, letter?: string) => {
    if (byte !== undefined) return String.fromCharCode(parseInt(byte, 16));
    const decoded =
      codePoint === undefined
        ? letter && CHARACTERS[letter]
        : String.fromCodePoint(parseInt(codePoint, 16));
    return byteStringOfText(decoded ?? run);
  });
}

/** Lines of messages without what a terminal would obey. Backslashes stay: names have theirs by then. */
export function terminalLines(text: string): string {
  // Most messages are plain, and a check may have a hundred thousand of them.
  if (/^[\n\x20-\x7e]*$/.test(text)) return text;
  const safe = (line: string): string => terminalSafe(line).replaceAll('\\\\', '\\');
  return text.split('\n').map(safe).join('\n');
}
