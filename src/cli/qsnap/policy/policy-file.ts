import { closeSync, constants, fstatSync, openSync, readSync, realpathSync } from 'node:fs';
import type { PolicyProblem } from './policy-error.js';

/** Ours: no policy that a person reads is longer. */
const BYTES_MAX = 2 ** 20;

/** A file that was named. */
export type FoundFile =
  | { readonly real: string; readonly why?: undefined }
  /** Why there is none. */
  | { readonly real?: undefined; readonly why: string };

/** The path of a file without links, by which loops are found. */
export function findFile(file: string): FoundFile {
  try {
    return { real: realpathSync(file) };
  } catch (error) {
    return { why: unreadable(error) };
  }
}

/** The text of a file, or why there is none and where. */
export type FileText =
  | { readonly text: string; readonly why?: undefined; readonly place?: undefined }
  | { readonly text?: undefined; readonly why: string; readonly place: PolicyProblem['place'] };

/** Reads a regular file of UTF-8 that is not too long. */
export function readText(file: string): FileText {
  const bytes = bytesOf(file);
  if (typeof bytes === 'string') return { why: bytes, place: undefined };
  const text = new TextDecoder().decode(bytes);
  const place = placeOfOtherBytes(bytes);
  if (place === undefined) return { text };
  return { why: 'this is not UTF-8; save the file as UTF-8', place };
}

function bytesOf(file: string): Uint8Array | string {
  try {
    // A pipe without a writer would be waited for.
    const fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      if (!fstatSync(fd).isFile()) return 'is no regular file';
      const bytes = new Uint8Array(BYTES_MAX + 1);
      let length = 0;
      for (let more = 1; more > 0 && length < bytes.length; length += more) {
        more = readSync(fd, bytes, length, bytes.length - length, length);
      }
      if (length > BYTES_MAX) return `has more than ${BYTES_MAX} bytes, and no policy needs them`;
      return bytes.subarray(0, length);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    return unreadable(error);
  }
}

function unreadable(error: unknown): string {
  return `can't be read: ${error instanceof Error ? error.message : String(error)}`;
}

/** The place of the first bytes that are not UTF-8. */
function placeOfOtherBytes(bytes: Uint8Array): PolicyProblem['place'] {
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
  const again = new TextEncoder().encode(text);
  // U+FFFD stands in their place, and has bytes of its own.
  const at = again.findIndex((byte, i) => byte !== bytes[i]);
  if (at === -1) return undefined;
  const before = new TextDecoder().decode(bytes.subarray(0, at)).split('\n');
  return { line: before.length, column: before.at(-1)!.length + 1 };
}
