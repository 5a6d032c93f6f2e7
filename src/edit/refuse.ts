import { QsnapError } from '../errors.js';
import type { Image } from '../image/image.js';
import { LIMITS } from '../qcow2/limits.js';
import { HEADER_V3, KNOWN_AUTOCLEAR } from '../qcow2/spec.js';

/**
 * Refuses what no edit may touch, whatever it does.
 *
 * @throws QsnapError EXTERNAL_DATA_FILE, IMAGE_MARKED_CORRUPT, IMAGE_DIRTY.
 */
export function refuseUnfit(image: Image): void {
  const { header } = image;
  const where = { structure: 'header', at: HEADER_V3.incompatible.at };
  if (header.externalDataFile) {
    throw new QsnapError(
      'EXTERNAL_DATA_FILE',
      'the image keeps its data in an external data file, which rules internal snapshots out',
      { ...where, hint: 'snapshot the data file by other means' },
    );
  }
  if (header.markedCorrupt) {
    const hint = repairHint(image);
    throw new QsnapError('IMAGE_MARKED_CORRUPT', 'the image is marked as corrupt', {
      ...where,
      hint,
    });
  }
  if (header.dirty) {
    throw new QsnapError(
      'IMAGE_DIRTY',
      'the image was not closed properly, so its refcounts may be wrong',
      { ...where, hint: repairHint(image) },
    );
  }
}

/** QEMU: the repair of 7.2 drops all snapshots of an image that has bitmaps or unknown such bits. */
function repairHint(image: Image): string {
  const { autoclear } = image.header;
  const hasBitmaps = image.extensions.some(({ kind }) => kind === 'bitmaps');
  const losesSnapshots = hasBitmaps || (autoclear & ~KNOWN_AUTOCLEAR) !== 0n;
  if (losesSnapshots && image.snapshots.length > 0) {
    return 'make a backup; `qemu-img check -r` of QEMU 7.2 would repair it and drop all snapshots';
  }
  return 'after a backup, `qemu-img check -r all` repairs it and takes the mark away';
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
