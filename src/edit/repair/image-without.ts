import type { CheckedImage } from '../../image/open-for-check.js';
import type { L1Ref } from '../../qcow2/header.js';
import { AUTOCLEAR } from '../../qcow2/spec.js';
import type { SnapshotTableReading } from '../../qcow2/snapshot-table-lenient.js';
import type { RepairChoice } from './choice.js';

const NO_L1: L1Ref = { at: 0, entries: 0 };

/**
 * The image without the tables that the choice gives up: their L1 tables have no entries. A check of this image tells
 * whether clusters that nothing refers to may have another owner.
 */
export function withoutGivenUp(opened: CheckedImage, choice: RepairChoice): CheckedImage {
  const { dropSnapshots, dropUnreadSnapshots, emptyL1s, dropBitmaps } = choice;
  const checked = dropBitmaps === true ? withoutBitmaps(opened) : opened;
  const { image, pointer } = checked;
  const gone = new Set<number | 'active'>([...(dropSnapshots ?? []), ...(emptyL1s ?? [])]);
  const snapshots = image.snapshots.map((one) =>
    gone.has(one.index) ? { ...one, l1: NO_L1 } : one,
  );
  const activeL1 = gone.has('active') ? NO_L1 : image.header.activeL1;
  const isWhole = dropUnreadSnapshots === true;
  const without = <T extends SnapshotTableReading>(table: T): T => ({
    ...table,
    faults: table.faults.filter(({ index }) => !gone.has(index)),
    stop: isWhole ? undefined : table.stop,
  });
  return {
    ...checked,
    image: { ...image, snapshots, header: { ...image.header, activeL1 } },
    pointer: isWhole ? { ...pointer, claimed: snapshots.length, problem: undefined } : pointer,
    table: without(checked.table),
    listed: without(checked.listed),
  };
}

/** The image without bitmaps: the header says that nobody may trust them, and they own no clusters. */
export function withoutBitmaps(checked: CheckedImage): CheckedImage {
  const { image } = checked;
  const autoclear = image.header.autoclear & ~(1n << BigInt(AUTOCLEAR.bitmaps));
  const header = { ...image.header, autoclear, bitmapsConsistent: false };
  return {
    ...checked,
    image: { ...image, header, bitmaps: [] },
    bitmapsMissing: false,
    bitmapsProblem: undefined,
  };
}

/** The image with only its whole snapshots: a repair can write a snapshot table of these. */
export function asListed(checked: CheckedImage): CheckedImage {
  const { image, listed } = checked;
  const { snapshots, bytes } = listed;
  return { ...checked, image: { ...image, snapshots, snapshotTableBytes: bytes }, table: listed };
}
