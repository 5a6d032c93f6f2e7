import { utf8Bytes } from '../../base/text.js';

/** A line of the pattern: it begins every sector, and fills it. */
const LINE_BYTES = 32;
const SECTOR_BYTES = 512;

/** "qsnap host 0x00000000000a0000", as a line. */
function lineOf(word: string, at: number): Uint8Array {
  const text = `qsnap ${word} 0x${at.toString(16).padStart(16, '0')}`;
  return utf8Bytes(`${text.padEnd(LINE_BYTES - 1)}\n`);
}

/**
 * Fills whole sectors of a file with what tells their place, so that whoever reads a wrong one sees which one it is.
 *
 * @param at where `bytes` lies in the file, a multiple of 512.
 */
export function fillWithPlaces(bytes: Uint8Array, at: number): void {
  for (let from = 0; from < bytes.length; from += SECTOR_BYTES) {
    repeat(bytes.subarray(from, from + SECTOR_BYTES), lineOf('host', at + from));
  }
}

/** What a compressed cluster unpacks to: the place of its packed data. */
export function packedPattern(at: number, clusterBytes: number): Uint8Array {
  const bytes = new Uint8Array(clusterBytes);
  repeat(bytes, lineOf('packed', at));
  return bytes;
}

function repeat(bytes: Uint8Array, line: Uint8Array): void {
  bytes.set(line.subarray(0, bytes.length));
  for (let done = line.length; done < bytes.length; done *= 2) bytes.copyWithin(done, 0, done);
}
