import { counted } from '../../base/text.js';
import { hex } from '../../base/words.js';
import { LIMITS } from '../../qcow2/limits.js';
import { HEADER_V2 } from '../../qcow2/spec.js';
import type { DumpedField } from './dumped.js';
import { readPiece, type DumpableImage } from './dumpable.js';
import { entryBytes, snapshotFields } from './snapshot-fields.js';

/** Bytes of the table that are read at a time. */
const WINDOW_BYTES = 256 * 1024;

/** The entries of the snapshot table, one after the other, as far as it is told where each begins. */
export async function* dumpSnapshots(image: DumpableImage): AsyncGenerator<readonly DumpedField[]> {
  const { raw, source, fileSizeBytes, geometry } = image;
  const claimed = raw.version === 1 ? 0 : raw.snapshotCount;
  if (claimed === 0) return;
  const count = Math.min(claimed, LIMITS.snapshotsMax.value);
  const begin = raw.snapshotTableAt < BigInt(fileSizeBytes) ? Number(raw.snapshotTableAt) : -1;
  if (begin === -1) {
    yield [lost(image, 0, 'lie past the end of the file')];
    return;
  }
  const limits = { clusterBytes: geometry?.clusterBytes, fileSizeBytes };
  let window: Uint8Array = new Uint8Array(0);
  let windowAt = begin;
  for (let index = 0, at = begin; index < count; index++) {
    let piece = window.subarray(at - windowAt);
    if (piece.length < entryBytes(piece)) {
      // A claim of gigabytes is not read: the entry is shown as far as an entry may be long.
      const length = Math.min(Math.max(entryBytes(piece), WINDOW_BYTES), ENTRY_BYTES_MAX);
      piece = window = await readPiece(source, fileSizeBytes, at, length);
      windowAt = at;
      if (piece.length < entryBytes(piece)) {
        piece = window = await readPiece(source, fileSizeBytes, at, ENTRY_BYTES_MAX);
      }
    }
    const { fields, bytes } = snapshotFields(index, { at, bytes: piece }, limits);
    yield fields;
    const isLast = index === claimed - 1;
    if (bytes === undefined) {
      if (!isLast) yield [lost(image, index + 1, 'come after one that is not whole')];
      return;
    }
    at += bytes;
    if (at - begin > LIMITS.snapshotTableBytesMax.value && !isLast) {
      yield [lost(image, index + 1, 'lie beyond what any program reads')];
      return;
    }
  }
  if (claimed > count) yield [lost(image, count, 'are more than any program reads')];
}

/** Both texts, and as much extra data as a table may be long. */
const ENTRY_BYTES_MAX = 2 ** 20;

/** What stands for entries that are not shown. */
function lost({ raw, head }: DumpableImage, from: number, why: string): DumpedField {
  const { at } = HEADER_V2.snapshotCount;
  const left = counted(raw.snapshotCount - from, 'entry', 'entries');
  return {
    part: 'snapshots',
    structure: 'snapshot table',
    name: 'nb_snapshots',
    at,
    length: 4,
    bytes: head.slice(at, at + 4),
    value: raw.snapshotCount,
    text: `${left} from entry ${from} on ${why} (table at ${hex(raw.snapshotTableAt)})`,
    problem: { expected: 'entries that lie in the file' },
  };
}
