import { counted, printable } from '../../base/text.js';
import { MiB } from '../../base/units.js';
import { QsnapError } from '../../errors.js';
import type { Image } from '../../image/image.js';
import { bitmapEntryBytes } from '../../qcow2/encode-bitmaps.js';
import { LIMITS } from '../../qcow2/limits.js';
import type { NextBitmap } from './next-bitmap.js';

/** QEMU: block/qcow2-bitmap.c, BME_MIN_GRANULARITY_BITS and BME_MAX_GRANULARITY_BITS. */
const GRANULARITY_MIN = 512;
const GRANULARITY_MAX = 2 ** 31;
/** QEMU: block/qcow2-bitmap.c, BME_MAX_PHYS_SIZE. */
const BITMAP_BYTES_MAX = 512 * MiB;

const structure = 'bitmap directory';

/** What to tell of a name that no bitmap has. */
export function notFound(name: Uint8Array): QsnapError {
  return new QsnapError('BITMAP_NOT_FOUND', `no bitmap is called "${printable(name)}"`, {
    structure,
    actual: printable(name),
    expected: 'the name of a bitmap',
  });
}

/** @throws QsnapError BITMAP_INCONSISTENT. */
export function refuseInconsistent({
  nameBytes,
  inUse,
}: Pick<NextBitmap, 'nameBytes' | 'inUse'>): void {
  if (!inUse) return;
  const name = printable(nameBytes);
  throw new QsnapError('BITMAP_INCONSISTENT', `bitmap "${name}" was not saved properly`, {
    structure,
    actual: name,
    expected: 'a bitmap that was saved properly',
    hint: 'remove it; what it had tracked is lost',
  });
}

/** @throws QsnapError BITMAP_GRANULARITY_INVALID. */
export function refuseGranularity(bytes: number): void {
  const isPower = Number.isInteger(Math.log2(bytes));
  if (isPower && bytes >= GRANULARITY_MIN && bytes <= GRANULARITY_MAX) return;
  throw new QsnapError(
    'BITMAP_GRANULARITY_INVALID',
    `one bit can't stand for ${counted(bytes, 'byte')}`,
    { structure, actual: String(bytes), expected: 'a power of 2 from 512 to 2147483648' },
  );
}

/** @throws QsnapError NAME_INVALID. */
export function refuseName(name: Uint8Array): void {
  const { value: most } = LIMITS.bitmapNameBytesMax;
  if (name.length > 0 && name.length <= most && !name.includes(0)) return;
  throw new QsnapError('NAME_INVALID', 'this can be no name of a bitmap', {
    structure,
    actual: name.includes(0) ? 'a zero byte in it' : `${name.length} bytes`,
    expected: `1 to ${most} bytes, none of them zero`,
  });
}

/** What to tell of a name that another bitmap has. */
export function nameInUse(name: Uint8Array): QsnapError {
  return new QsnapError('NAME_IN_USE', `a bitmap is called "${printable(name)}" already`, {
    structure,
    expected: 'a name that no other bitmap has',
    hint: 'choose another name, or remove the other bitmap first',
  });
}

/**
 * What an image can't have bitmaps for at all.
 *
 * @throws QsnapError BITMAPS_REFUSED.
 */
export function refuseImage({ header }: Image): void {
  if (header.version === 3 && header.diskSizeBytes > 0) return;
  const why = header.version === 2 ? 'an image of version 2' : 'a disk of no bytes';
  throw new QsnapError('BITMAPS_REFUSED', `${why} can't have bitmaps`, {
    structure: 'header',
    actual: header.version === 2 ? 'version 2' : '0 bytes',
    expected: header.version === 2 ? 'version 3' : 'a longer disk',
  });
}

/** @throws QsnapError LIMIT_EXCEEDED where one bitmap takes more bytes than QEMU loads. */
export function refuseLong(bits: number, clusterBytes: number): void {
  const bytes = Math.ceil(bits / 8);
  const max = Math.min(BITMAP_BYTES_MAX, LIMITS.bitmapTableEntriesMax.value * clusterBytes);
  if (bytes <= max) return;
  throw new QsnapError('LIMIT_EXCEEDED', `the bitmap takes ${bytes} bytes`, {
    structure: 'bitmap data',
    actual: `${bytes} bytes`,
    expected: `at most ${max} bytes`,
    hint: 'let one bit stand for more bytes',
  });
}

/** @throws QsnapError LIMIT_EXCEEDED where they are more, or longer, than QEMU loads. */
export function refuseMany(bitmaps: readonly NextBitmap[]): void {
  const { bitmapsMax, bitmapDirectoryBytesMax } = LIMITS;
  const bytes = bitmaps.reduce((sum, bitmap) => sum + bitmapEntryBytes(bitmap), 0);
  const isMany = bitmaps.length > bitmapsMax.value;
  if (!isMany && bytes <= bitmapDirectoryBytesMax.value) return;
  const actual = isMany ? `${bitmaps.length} bitmaps` : `${bytes} bytes`;
  const most = isMany ? `${bitmapsMax.value} bitmaps` : `${bitmapDirectoryBytesMax.value} bytes`;
  throw new QsnapError('LIMIT_EXCEEDED', `the bitmap directory would have ${actual}`, {
    structure,
    actual,
    expected: `at most ${most}`,
  });
}

/** @throws QsnapError BITMAP_SIZES_DIFFER. */
export function refuseOtherSize(bytes: number, source: number): void {
  if (bytes === source) return;
  throw new QsnapError(
    'BITMAP_SIZES_DIFFER',
    `a bitmap of a disk of ${source} bytes can't be merged into that of one of ${bytes} bytes`,
    { structure: 'bitmap data', actual: `${source} bytes`, expected: `${bytes} bytes` },
  );
}
