import { hinted } from '../../base/hints.js';
import { counted } from '../../base/text.js';
import { HIGH_WORD, joinExact } from '../../base/words.js';
import { QsnapError } from '../../errors.js';
import type { Image } from '../../image/image.js';
import { l1EntriesFor } from '../../qcow2/geometry.js';
import { LIMITS } from '../../qcow2/limits.js';
import { refuseInconsistent } from '../bitmaps/refuse.js';
import type { ResizeOptions } from './resize-options.js';

/** A disk's size is a number of these. QEMU: BDRV_SECTOR_SIZE. */
const SECTOR_BYTES = 512;

/** Refuses sizes and wishes that this image can't have, in the order in which QEMU does. */
export function refuseResize(image: Image, options: ResizeOptions): void {
  const { diskSizeBytes } = options;
  if (!Number.isInteger(diskSizeBytes) || diskSizeBytes <= 0) {
    throw sizeInvalid(diskSizeBytes, 'a whole number of bytes above 0');
  }
  refusePreallocation(image, options);
  refuseShrink(image, options);
  if (diskSizeBytes % SECTOR_BYTES !== 0) {
    throw sizeInvalid(diskSizeBytes, `a multiple of ${SECTOR_BYTES}`);
  }
  refuseOldVersion(image);
  refuseBitmaps(image);
  refuseDataFile(image);
  refuseOversizedL1(image, diskSizeBytes);
}

function sizeInvalid(sizeBytes: number, expected: string): QsnapError {
  return new QsnapError('SIZE_INVALID', `a disk can't have ${sizeBytes} bytes`, {
    expected,
    actual: String(sizeBytes),
    hint: `it takes ${expected}`,
  });
}

function refuseShrink(image: Image, { diskSizeBytes, shrink }: ResizeOptions): void {
  const old = image.header.diskSizeBytes;
  if (diskSizeBytes >= old || shrink === true) return;
  throw new QsnapError(
    'SHRINK_NOT_ALLOWED',
    `the disk has ${old} bytes, and what lies past byte ${diskSizeBytes} would be lost`,
    {
      expected: `at least ${old}`,
      actual: String(diskSizeBytes),
      ...hinted('allow-shrink'),
    },
  );
}

function refusePreallocation(image: Image, options: ResizeOptions): void {
  const { preallocation = 'off', diskSizeBytes } = options;
  const { diskSizeBytes: old, version, encryption } = image.header;
  if (preallocation === 'off') return;
  if (diskSizeBytes <= old) {
    throw new QsnapError('PREALLOCATION_REFUSED', 'a disk that does not grow can not preallocate', {
      expected: `more than ${old} bytes`,
      actual: String(diskSizeBytes),
    });
  }
  if (version === 2 && encryption !== 'none') {
    throw new QsnapError(
      'PREALLOCATION_REFUSED',
      'preallocated clusters of an encrypted version 2 image would read as noise',
      { structure: 'header', at: 4, hint: 'resize without preallocation' },
    );
  }
}

/** QEMU refuses too: a version 2 image need not know the size of a snapshot's disk. */
function refuseOldVersion({ header, snapshots }: Image): void {
  if (header.version === 3 || snapshots.length === 0) return;
  throw new QsnapError(
    'SIZE_DIFFERS_IN_V2',
    `a version 2 image with ${counted(snapshots.length, 'snapshot')} can not change its size`,
    {
      structure: 'snapshot table',
      at: header.snapshotTable.at,
      ...hinted('make-version-3'),
    },
  );
}

/** Nobody knows what the bits of such a bitmap would be. QEMU: qcow2_truncate_bitmaps_check. */
function refuseBitmaps({ bitmaps }: Image): void {
  for (const bitmap of bitmaps) refuseInconsistent(bitmap);
}

function refuseDataFile({ header }: Image): void {
  if (!header.externalDataFile) return;
  throw new QsnapError(
    'EXTERNAL_DATA_FILE',
    'the image keeps its data in an external data file, which would have to be resized with it',
    { structure: 'header', at: 72, ...hinted('resize-by-qemu') },
  );
}

function refuseOversizedL1(image: Image, diskSizeBytes: number): void {
  const entries = l1EntriesFor(diskSizeBytes, image.geometry);
  const max = LIMITS.l1BytesMax.value / 8;
  if (entries <= max) {
    joinExact(Math.floor(diskSizeBytes / HIGH_WORD), diskSizeBytes % HIGH_WORD, 'the disk size');
    return;
  }
  throw new QsnapError(
    'LIMIT_EXCEEDED',
    `a disk of ${diskSizeBytes} bytes takes an L1 of ${entries} entries`,
    {
      structure: 'active L1',
      expected: `at most ${max}`,
      actual: String(entries),
      hint: 'make the image anew with larger clusters',
    },
  );
}
