import { hinted } from '../../base/hints.js';
import { counted, printableText } from '../../base/text.js';
import { isAligned } from '../../base/units.js';
import { hex } from '../../base/words.js';
import { QsnapError } from '../../errors.js';
import { damaged } from '../../image/damage.js';
import type { Image, OpenImage } from '../../image/image.js';
import { judgeBitmap, type BitmapFault } from '../../image/judge-bitmaps.js';
import { refuseEdited } from '../../image/refuse-edited.js';
import type { PersistentBitmap } from '../../qcow2/bitmap-directory.js';
import { LIMITS } from '../../qcow2/limits.js';
import { isBlankSnapshot, isMisread } from '../../qcow2/snapshot-table-lenient.js';
import { HEADER_V2, HEADER_V3 } from '../../qcow2/spec.js';

/**
 * Refuses an image that no edit may touch.
 *
 * @throws QsnapError IMAGE_CHANGED if the image was edited since it was opened; EXTERNAL_DATA_FILE,
 *   IMAGE_MARKED_CORRUPT, IMAGE_DIRTY; IMAGE_DAMAGED for an image that no QEMU opens, or with a blank or misread entry in
 *   the snapshot table, which an edit would write down as a snapshot. For an image that `openForReading` could read only
 *   in part: the error of the first part that it could not read.
 * @param keepsData the edit touches nothing that a data file is about.
 */
export function refuseUnfit(image: OpenImage, { keepsData = false } = {}): void {
  refuseEdited(image);
  const { header, unread = [] } = image;
  if (unread.length > 0) throw unread[0]!.reason;
  const blank = image.snapshots.find(isBlankSnapshot);
  if (blank !== undefined) {
    const message = `entry ${blank.index} of the snapshot table is blank, so a snapshot is lost`;
    throw damaged({ structure: 'snapshot table', at: blank.at, message });
  }
  const misread = image.snapshots.find(isMisread);
  if (misread !== undefined) {
    const message =
      `entry ${misread.index} of the snapshot table has an id or a name that is no text, so nobody knows ` +
      'where the table ends';
    throw damaged({ structure: 'snapshot table', at: misread.at, message });
  }
  const { at, count } = header.snapshotTable;
  if (count === 0 && !isAligned(at, image.geometry.clusterBytes)) {
    const message = `the header counts no snapshots, and has their table at ${hex(at)}, where none can be`;
    const where = { structure: 'snapshot table', at: HEADER_V2.snapshotTableAt.at };
    throw damaged({ ...where, message, hintCode: 'check-unopenable' });
  }
  refuseUnloadableBitmaps(image);
  const where = { structure: 'header', at: HEADER_V3.incompatible.at };
  if (header.externalDataFile && !keepsData) {
    throw new QsnapError(
      'EXTERNAL_DATA_FILE',
      'the image keeps its data in an external data file, which rules internal snapshots out',
      { ...where, hint: 'snapshot the data file by other means' },
    );
  }
  if (header.rawExternalData && !header.externalDataFile) {
    const message = 'the header says that an external data file is raw, and that there is none';
    throw damaged({ structure: 'header', at: HEADER_V3.autoclear.at, message });
  }
  if (header.markedCorrupt) {
    throw new QsnapError('IMAGE_MARKED_CORRUPT', 'the image is marked as corrupt', {
      ...where,
      ...hinted('repair-mark'),
    });
  }
  if (header.dirty) {
    throw new QsnapError(
      'IMAGE_DIRTY',
      'the image was not closed properly, so its refcounts may be wrong',
      { ...where, ...hinted('repair-mark') },
    );
  }
}

/** @throws QsnapError IMAGE_DAMAGED for a bitmap that no QEMU loads. */
export function refuseUnloadableBitmaps(image: Image): void {
  for (const bitmap of image.bitmaps) {
    const fault = judgeBitmap(bitmap, image);
    if (fault !== undefined) throw bitmapDamage(bitmap, fault);
  }
}

/** The disk may be right, but no QEMU opens it, before the edit or after it. */
function bitmapDamage({ name, table }: PersistentBitmap, fault: BitmapFault): QsnapError {
  const why =
    fault.kind === 'unreadable'
      ? `it ${fault.problem}`
      : `its table has ${counted(fault.entries, 'entry', 'entries')}, and the disk takes ${fault.needed}`;
  return damaged({
    structure: 'bitmap directory',
    at: table.at,
    message: `bitmap "${printableText(name)}" can't be loaded: ${why}`,
    hintCode: 'check-unopenable',
  });
}

/**
 * Refuses a file of more clusters than qsnap counts, or than the largest refcount table that QEMU
 * reads can count.
 *
 * @throws QsnapError LIMIT_EXCEEDED.
 */
export function refuseUncountable(clusters: number, image: Image): void {
  const mostClusters = LIMITS.hostClustersMax.value;
  if (clusters > mostClusters) {
    throw new QsnapError('LIMIT_EXCEEDED', `the edit makes a file of ${clusters} clusters`, {
      expected: `at most ${mostClusters}`,
      actual: String(clusters),
    });
  }
  const tableBytes = Math.ceil(clusters / image.geometry.refcountBlockEntries) * 8;
  const max = LIMITS.refcountTableBytesMax.value;
  if (tableBytes <= max) return;
  throw new QsnapError('LIMIT_EXCEEDED', `the edit needs a refcount table of ${tableBytes} bytes`, {
    structure: 'refcount table',
    expected: `at most ${max} bytes`,
    hint: 'make the image anew with larger clusters or narrower refcounts',
  });
}
