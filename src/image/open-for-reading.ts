import { hinted } from '../base/hints.js';
import { counted, printable } from '../base/text.js';
import { decodeStruct } from '../base/struct.js';
import { roundUp } from '../base/units.js';
import { hex } from '../base/words.js';
import { isQsnapError, QsnapError } from '../errors.js';
import type { BlockSource } from '../io/device.js';
import { parseExtensions } from '../qcow2/extensions.js';
import { parseHeaderAround, type Header } from '../qcow2/header.js';
import { LIMITS } from '../qcow2/limits.js';
import type { SnapshotFault, SnapshotTableReading } from '../qcow2/snapshot-table-lenient.js';
import type { Snapshot } from '../qcow2/snapshot-table.js';
import { HEADER_V2 } from '../qcow2/spec.js';
import type { MisplacedTables } from '../qcow2/validate.js';
import type { OpenImage, Unread, UnreadStructure } from './image.js';
import { pointerOf, readSnapshotsLeniently, type SnapshotTablePointer } from './open-for-check.js';
import { readBitmaps, readHead, readStartInPart } from './open.js';

/** An image as far as it can be read. */
export interface ReadableImage extends OpenImage {
  /** What can't be read of it; empty for a whole image. */
  readonly unread: readonly Unread[];
}

/**
 * Opens an image for reading, even if parts of it can't be read. `openImage` throws for a table in an impossible place,
 * a lost entry of the snapshot table, or junk in the header's extensions or in the bitmap directory; here they are
 * listed in `unread`. No edit takes an image with such a list.
 *
 * ```ts
 * const { snapshots, unread } = await openForReading(memoryDevice(bytes));
 * for (const { structure, reason } of unread) console.error(structure, reason.message);
 * ```
 *
 * @throws QsnapError NOT_QCOW2 and the other codes of a header that can't be read, READ_FAILED.
 */
export async function openForReading(source: BlockSource): Promise<ReadableImage> {
  const unread: Unread[] = [];
  let misplaced: MisplacedTables = new Map();
  let pointer: SnapshotTablePointer | undefined;
  const head = await readHead(
    source,
    {},
    (bytes, fileSizeBytes) => {
      const around = parseHeaderAround(bytes, fileSizeBytes);
      ({ misplaced } = around);
      pointer = storedPointer(bytes, around.header);
      return around.header;
    },
    (cluster, header) => {
      return taken(unread, 'header extensions', () => parseExtensions(cluster, header).extensions);
    },
    readStartInPart,
  );
  addMisplaced(misplaced, unread);
  const { header, extensions, fileSizeBytes } = head;
  const listed = await readSnapshotsLeniently(source, header, fileSizeBytes);
  if (listed.stop !== undefined) unread.push(lostEntries(listed, pointer!.claimed));
  for (const fault of listed.faults) unread.push(faulty(fault, listed.snapshots[fault.index]!));
  const bitmaps = await takenAsync(unread, 'bitmap directory', () =>
    readBitmaps(source, header, extensions, fileSizeBytes),
  );
  const { snapshots } = listed;
  // Every entry is padded, the last one too.
  const snapshotTableBytes = roundUp(listed.bytes, 8);
  return { ...head, snapshots, snapshotTableBytes, bitmaps, unread };
}

/** What the header says of the snapshot table, whether or not it can be. */
function storedPointer(bytes: Uint8Array, header: Header): SnapshotTablePointer {
  const raw = decodeStruct(HEADER_V2, bytes);
  return pointerOf(raw.snapshotCount, raw.snapshotTableAt, header);
}

const TABLES = [
  ['refcountTable', 'refcount table'],
  ['snapshotTable', 'snapshot table'],
  ['activeL1', 'active L1'],
] as const;

function addMisplaced(misplaced: MisplacedTables, unread: Unread[]): void {
  for (const [table, structure] of TABLES) {
    const reason = misplaced.get(table);
    if (reason !== undefined) unread.push({ structure, snapshot: undefined, reason });
  }
}

/** The entries from the first lost one on. */
function lostEntries({ stop }: SnapshotTableReading, claimed: number): Unread {
  const { reason, index, at, value } = stop!;
  const lost = counted(claimed - index, 'snapshot');
  const [code, what] = (
    {
      'past-the-end': [
        'IMAGE_TRUNCATED',
        `reaches ${counted(value, 'byte')} past the end of the file`,
      ],
      blank: ['SNAPSHOT_TABLE_INVALID', 'is blank'],
      misread: [
        'SNAPSHOT_TABLE_INVALID',
        `has an id and a name of ${counted(value, 'byte')} that are no text`,
      ],
      'extra-data-too-long': ['SNAPSHOT_TABLE_INVALID', `claims ${value} bytes of extra data`],
      'table-too-long': [
        'SNAPSHOT_TABLE_INVALID',
        `lies beyond the first ${LIMITS.snapshotTableBytesMax.value} bytes`,
      ],
      'too-many': ['SNAPSHOT_TABLE_INVALID', `is beyond the first ${LIMITS.snapshotsMax.value}`],
    } as const
  )[reason];
  const message = `snapshot table entry ${index} of ${claimed} ${what}: ${lost} can't be read`;
  const details = { structure: 'snapshot table', at, entry: index };
  return {
    structure: 'snapshot table',
    snapshot: index,
    reason: new QsnapError(code, message, { ...details, ...hinted('check-image') }),
  };
}

/** A snapshot whose entry can be read and whose disk can't. */
function faulty(
  { index, field, at, value }: SnapshotFault,
  { idBytes, nameBytes }: Snapshot,
): Unread {
  const what = {
    'l1-offset': `its L1 table lies at ${hex(value)}, where none can be`,
    'l1-entries': `its L1 table claims ${value} entries`,
    'VM state size': `its VM state size is ${hex(value)}`,
    'disk size': `its disk size is ${hex(value)}`,
  }[field];
  const snapshot = `snapshot ${printable(idBytes)} "${printable(nameBytes)}"`;
  const details = { structure: 'snapshot table', at, entry: index, actual: hex(value) };
  return {
    structure: 'snapshot',
    snapshot: index,
    reason: new QsnapError('SNAPSHOT_TABLE_INVALID', `${snapshot} can't be read: ${what}`, {
      ...details,
      ...hinted('check-image'),
    }),
  };
}

function taken<T>(
  unread: Unread[],
  structure: UnreadStructure,
  read: () => readonly T[],
): readonly T[] {
  try {
    return read();
  } catch (error) {
    return noted(unread, structure, error);
  }
}

async function takenAsync<T>(
  unread: Unread[],
  structure: UnreadStructure,
  read: () => Promise<readonly T[]>,
): Promise<readonly T[]> {
  try {
    return await read();
  } catch (error) {
    return noted(unread, structure, error);
  }
}

/** Nothing was read, and why. */
function noted(unread: Unread[], structure: UnreadStructure, error: unknown): readonly [] {
  if (!isQsnapError(error) || error.kind !== 'image') throw error;
  unread.push({ structure, snapshot: undefined, reason: error });
  return [];
}
