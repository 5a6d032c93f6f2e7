import { printableText } from '../../base/text.js';
import { QsnapError, type ErrorDetails } from '../../errors.js';
import { geometryOf, l1EntriesFor, type Geometry } from '../../qcow2/geometry.js';
import { COMPRESSION_TYPES } from '../../qcow2/header.js';
import { LIMITS } from '../../qcow2/limits.js';
import type { NewImageOptions } from './image-writer.js';

/** The format's fixed values of version 2. Spec: Header. */
const REFCOUNT_BITS_V2 = 16;

/** Which option of a new image is wrong: `details.structure` of NEW_IMAGE_INVALID. */
export type NewImageOption =
  | 'disk size'
  | 'cluster size'
  | 'refcount width'
  | 'version'
  | 'extended L2 entries'
  | 'lazy refcounts'
  | 'compression type'
  | 'backing file name'
  | 'data file'
  | 'preallocation';

export function invalidOption(
  option: NewImageOption,
  message: string,
  details: ErrorDetails = {},
): QsnapError {
  return new QsnapError('NEW_IMAGE_INVALID', message, { ...details, structure: option });
}

/**
 * The sizes that follow from the options of a new image.
 *
 * @throws QsnapError NEW_IMAGE_INVALID, with the name of the option as `details.structure`.
 * Spec: Header, Extended L2 Entries.
 */
export function geometryOfNew(options: NewImageOptions): Geometry {
  const { clusterBytes, refcountBits, extendedL2, diskSizeBytes } = options;
  const clusterBits = Math.log2(clusterBytes);
  const { clusterBitsMin, clusterBitsMax, clusterBitsMinExtendedL2, l1BytesMax } = LIMITS;
  const isCluster =
    Number.isInteger(clusterBits) &&
    clusterBits >= clusterBitsMin.value &&
    clusterBits <= clusterBitsMax.value;
  if (!isCluster) {
    throw invalidOption('cluster size', `clusters can't have ${clusterBytes} bytes`, {
      expected: 'a power of two from 512 to 2097152',
      actual: String(clusterBytes),
    });
  }
  refuseUnknownCompression(options.compressionType);
  refuseForVersion2(options);
  const refcountOrder = Math.log2(refcountBits);
  if (!Number.isInteger(refcountOrder) || refcountOrder > LIMITS.refcountOrderMax.value) {
    throw invalidOption('refcount width', `refcounts can't have ${refcountBits} bits`, {
      expected: '1, 2, 4, 8, 16, 32 or 64',
      actual: String(refcountBits),
    });
  }
  if (extendedL2 && clusterBits < clusterBitsMinExtendedL2.value) {
    const message = `clusters of ${clusterBytes} bytes can't have subclusters`;
    throw invalidOption('extended L2 entries', message, { expected: 'clusters from 16384 bytes' });
  }
  if (!Number.isSafeInteger(diskSizeBytes) || diskSizeBytes < 0) {
    throw invalidOption('disk size', `a disk can't have ${diskSizeBytes} bytes`, {
      expected: 'a number from 0 to 2^53 - 1',
    });
  }
  const geometry = geometryOf(clusterBits, refcountOrder, extendedL2);
  if (l1EntriesFor(diskSizeBytes, geometry) * 8 > l1BytesMax.value) {
    const most = (l1BytesMax.value / 8) * geometry.l2CoverageBytes;
    throw invalidOption(
      'disk size',
      `a disk of ${diskSizeBytes} bytes is too large for clusters of ${clusterBytes} bytes`,
      { expected: `at most ${most} bytes`, hint: 'larger clusters make larger disks possible' },
    );
  }
  return geometry;
}

/** Programs without types may name another: whatever it is, the header could only say zlib of it. */
function refuseUnknownCompression(type: unknown): void {
  if (COMPRESSION_TYPES.some((known) => known === type)) return;
  throw invalidOption(
    'compression type',
    `an image can't have compression type "${printableText(String(type))}"`,
    {
      expected: COMPRESSION_TYPES.join(' or '),
      actual: String(type),
    },
  );
}

/** What only version 3 has words for in its header. */
function refuseForVersion2(options: NewImageOptions): void {
  if (options.version === 3) return;
  const { refcountBits, extendedL2, lazyRefcounts, compressionType } = options;
  const asked: readonly (readonly [NewImageOption, boolean])[] = [
    ['extended L2 entries', extendedL2],
    ['lazy refcounts', lazyRefcounts],
    ['compression type', compressionType !== 'zlib'],
    ['refcount width', refcountBits !== REFCOUNT_BITS_V2],
  ];
  const [option] = asked.find(([, isAsked]) => isAsked) ?? [];
  if (option === undefined) return;
  const named = option.endsWith('s') ? option : `this ${option}`;
  throw invalidOption(option, `an image of version 2 can't have ${named}`, {
    expected: 'an image of version 3',
  });
}
