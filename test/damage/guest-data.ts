/** What guests keep on their disks, from a seed: text, numbers, noise, and stretches of zeros. */
import type { Random } from '../support/mutate.js';

const WORDS = ['kernel', 'started', 'mount', '/dev/vda1', 'user=root', 'error', 'GET', '200', 'ok'];
const PIECE_BYTES = 4096;

type Fill = (piece: Uint8Array, random: Random) => void;

const text: Fill = (piece, random) => {
  const encoder = new TextEncoder();
  for (let at = 0; at < piece.length;) {
    const line = encoder.encode(`${random(2 ** 31)} ${WORDS[random(WORDS.length)]!} `);
    piece.set(line.subarray(0, piece.length - at), at);
    at += line.length;
  }
};

const noise: Fill = (piece, random) => {
  for (let at = 0; at < piece.length; at++) piece[at] = random(256);
};

/** Block numbers as file systems have them: small numbers in words of four bytes. */
const numbers: Fill = (piece, random) => {
  const view = new DataView(piece.buffer, piece.byteOffset, piece.length);
  let block = random(100_000);
  for (let at = 0; at + 4 <= piece.length; at += 4) {
    view.setUint32(at, block, true);
    block += 1 + (random(16) === 0 ? random(1000) : 0);
  }
};

const mostlyZeros: Fill = (piece, random) => {
  noise(piece.subarray(0, 1 + random(piece.length / 8)), random);
};

const FILLS = [text, noise, numbers, mostlyZeros];

export function guestData(random: Random, length: number): Uint8Array {
  const data = new Uint8Array(length);
  for (let at = 0; at < length; at += PIECE_BYTES) {
    FILLS[random(FILLS.length)]!(data.subarray(at, at + PIECE_BYTES), random);
  }
  return data;
}
