import { counted } from '../base/text.js';
import { QsnapError } from '../errors.js';
import type { CheckedImage } from '../image/open-for-check.js';
import { HEADER_V2, HEADER_V3 } from '../qcow2/spec.js';
import type { RepairChoice } from './choice.js';

/**
 * Refuses what no repair can mend without losing what it can't see.
 *
 * @throws QsnapError REPAIR_REFUSED, EXTERNAL_DATA_FILE.
 */
export function refuseUnmendable(
  { image, pointer, table }: CheckedImage,
  choice: RepairChoice,
): void {
  if (image.header.externalDataFile) {
    throw new QsnapError(
      'EXTERNAL_DATA_FILE',
      'the image keeps its data in an external data file, which qsnap does not repair',
      { structure: 'header', at: HEADER_V3.incompatible.at },
    );
  }
  const isWhole = pointer.problem === undefined && table.stop === undefined;
  if (isWhole || choice.dropUnreadSnapshots === true) return;
  const read = table.snapshots.length;
  throw new QsnapError(
    'REPAIR_REFUSED',
    `only ${read} of ${counted(pointer.claimed, 'snapshot')} can be read, so nobody knows which ` +
      'clusters the others hold',
    {
      structure: 'snapshot table',
      at: table.stop?.at ?? HEADER_V2.snapshotTableAt.at,
      hint: 'mend the snapshot table by other means, or drop the unread snapshots by name',
      imageState: 'unchanged',
    },
  );
}

/** So many entries name places behind the end of the file that no place is left for new copies. */
export function tooManyUnreadable(): QsnapError {
  return new QsnapError(
    'REPAIR_REFUSED',
    'too many entries name places behind the end of the file, where new copies would have to go',
    {
      structure: 'L2 table',
      hint: 'look for a complete copy of the file, or repair the class unreadable too',
      imageState: 'unchanged',
    },
  );
}
