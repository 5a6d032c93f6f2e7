import { KiB, roundUp } from '../../base/units.js';
import type { BlockSource } from '../../io/device.js';
import { LIMITS } from '../../qcow2/limits.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';
import { findEntries, type EntryContext } from './snapshot-entries.js';

const FIRST_READ_BYTES = 4 * KiB;
/** Longer than any entry. */
const ENTRY_BYTES_MAX = 256 * KiB;

/**
 * Reads the entries of a snapshot table, as far as they go on within the clusters that it fills.
 *
 * @returns the entries, and how many bytes of whole clusters they take.
 */
export async function readEntries(
  source: BlockSource,
  context: EntryContext,
): Promise<{ readonly snapshots: readonly Snapshot[]; readonly bytes: number }> {
  const { at, fileSizeBytes, clusterBytes } = context;
  const most = Math.min(LIMITS.snapshotTableBytesMax.value, roundUp(fileSizeBytes - at, 8));
  for (let wanted = FIRST_READ_BYTES; ; wanted *= 4) {
    // What lies past the end of the file reads as zeros: a name that is cut is a name.
    const bytes = new Uint8Array(wanted);
    await source.readBatch([{ at, into: bytes }]);
    const { snapshots, end, goesOn } = findEntries(bytes, context);
    if (!goesOn || wanted >= most + ENTRY_BYTES_MAX) {
      return { snapshots, bytes: roundUp(end, clusterBytes) };
    }
  }
}
