import { counted } from '../../base/text.js';
import { hex } from '../../base/words.js';
import { QsnapError, type ErrorDetails } from '../../errors.js';
import type { OpenImage } from '../../image/image.js';
import { HEADER_V3, INCOMPATIBLE } from '../../qcow2/spec.js';

const REFCOUNT_BITS_V2 = 16;
/** The size of a VM state has 32 bits in an entry without extra data. */
const VM_STATE_BYTES_MAX = 0xffff_ffff;

/**
 * Refuses what version 2 has no place for, in the order in which QEMU does; `structure` of the error says which it is.
 *
 * @throws QsnapError DOWNGRADE_REFUSED, BITMAPS_PRESENT.
 */
export function refuseDowngrade(image: OpenImage): void {
  const { header, snapshots, geometry, bitmaps } = image;
  if (geometry.refcountBits !== REFCOUNT_BITS_V2) {
    const message = `version 2 has refcounts of 16 bits, and these have ${geometry.refcountBits}`;
    throw refused(message, { structure: 'refcount block', at: HEADER_V3.refcountOrder.at });
  }
  const odd = snapshots.find(
    ({ vmStateBytes, diskSizeBytes }) =>
      vmStateBytes > VM_STATE_BYTES_MAX || diskSizeBytes !== header.diskSizeBytes,
  );
  if (odd !== undefined) {
    const message = 'a snapshot has a disk of another size, or a VM state of 4 GiB or more';
    throw refused(message, { structure: 'snapshot table', at: odd.at });
  }
  const features = header.incompatible & ~(1n << BigInt(INCOMPATIBLE['compression type']));
  if (features !== 0n) {
    const message = `version 2 has no incompatible features, and the image has ${hex(features)}`;
    throw refused(message, { structure: 'header', at: HEADER_V3.incompatible.at });
  }
  if (bitmaps.length === 0) return;
  const message = `version 2 has no place for ${counted(bitmaps.length, 'persistent bitmap')}`;
  throw new QsnapError('BITMAPS_PRESENT', message, { structure: 'bitmaps extension' });
}

/** @throws QsnapError DOWNGRADE_REFUSED for zstd: version 2 does not say how clusters are compressed. */
export function refuseCompressed({ header }: OpenImage): void {
  if (header.compressionType === 'zlib') return;
  throw refused(`version 2 has no clusters that are compressed as ${header.compressionType}`, {
    structure: 'L2 table',
  });
}

function refused(message: string, where: ErrorDetails): QsnapError {
  return new QsnapError('DOWNGRADE_REFUSED', message, where);
}
