import { GiB, MiB } from '../../base/units.js';
import type { WriteRequest } from '../../io/device.js';
import type { GuestWrite } from './image-writer.js';

/** The longest stretch that is placed at once: a multiple of every cluster size. */
const PIECE_BYTES = GiB;
const ZEROS = new Uint8Array(MiB);

/** Guest bytes that a write is about; a compressed one is a cluster, told apart by its caller. */
export function lengthOf(write: GuestWrite): number {
  if (write.kind === 'data') return write.bytes.length;
  return write.kind === 'zero' ? write.length : 1;
}

/** The same write cut at the borders of L2 tables, and where a piece would be very long. */
export function* piecesOf(write: GuestWrite, l2CoverageBytes: number): Generator<GuestWrite> {
  const step = Math.min(l2CoverageBytes, PIECE_BYTES);
  const { at } = write;
  const end = at + lengthOf(write);
  if (Math.floor(at / step) === Math.floor((end - 1) / step)) {
    if (end > at) yield write;
    return;
  }
  for (let from = at; from < end;) {
    const to = Math.min(end, (Math.floor(from / step) + 1) * step);
    if (write.kind === 'data') {
      yield { kind: 'data', at: from, bytes: write.bytes.subarray(from - at, to - at) };
    } else {
      yield { kind: 'zero', at: from, length: to - from };
    }
    from = to;
  }
}

/** The bytes at their place, with zeros up to the end of the unit. */
export function padded(at: number, bytes: Uint8Array, unitBytes: number): WriteRequest[] {
  if (bytes.length === 0) return [];
  const missing = (unitBytes - (bytes.length % unitBytes)) % unitBytes;
  if (missing === 0) return [{ at, bytes }];
  return [
    { at, bytes },
    { at: at + bytes.length, bytes: new Uint8Array(missing) },
  ];
}

/** So many zeros from a place on. */
export function* zerosAt(from: number, end: number): Generator<WriteRequest> {
  for (let at = from; at < end; at += ZEROS.length) {
    yield { at, bytes: ZEROS.subarray(0, Math.min(ZEROS.length, end - at)) };
  }
}
