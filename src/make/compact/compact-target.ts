import { QsnapError } from '../../errors.js';
import type { OpenImage } from '../../image/image.js';
import { geometryOf, l1EntriesFor, type Geometry } from '../../qcow2/geometry.js';
import type { CompressionType } from '../../qcow2/header.js';
import { LIMITS } from '../../qcow2/limits.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';
import type { Compressor } from '../../read/guest/platform.js';
import { geometryOfNew, invalidOption } from '../new/new-image.js';
import type { CompactOptions } from './compact-options.js';
import type { SourceTables } from './source-tables.js';
import type { Survey } from './survey.js';

/** What the new image is to be like. */
export interface CompactTarget {
  readonly geometry: Geometry;
  readonly version: 2 | 3;
  readonly compressionType: CompressionType;
  /** Clusters and L2 entries are as they were. */
  readonly isSameGrid: boolean;
  readonly compress:
    { readonly type: CompressionType; readonly compressor: Compressor } | undefined;
  /** Clusters of zeros are left out. Version 2 can't say so over a backing file. */
  readonly dropZeros: boolean;
  /** Zeros become unallocated: it was asked for, or there is no flag for them, and nothing could show below. */
  readonly zerosUnallocated: boolean;
}

/**
 * What the options make of the image.
 *
 * @throws QsnapError NEW_IMAGE_INVALID, EXTERNAL_DATA_FILE, UNSUPPORTED_COMPRESSION.
 */
export function targetOf(image: OpenImage, options: CompactOptions): CompactTarget {
  const { header, geometry: old, backingNameBytes } = image;
  if (header.externalDataFile) throw dataElsewhere(image);
  const { compress, dropZeros = false } = options;
  const version = options.version ?? header.version;
  const compressionType = compress ?? header.compressionType;
  const clusterBytes = options.clusterBytes ?? old.clusterBytes;
  const extendedL2 = options.extendedL2 ?? header.extendedL2;
  const refcountBits = options.refcountBits ?? (version === 2 ? 16 : old.refcountBits);
  geometryOfNew({
    ...{ version, compressionType, diskSizeBytes: header.diskSizeBytes },
    ...{ clusterBytes, extendedL2 },
    refcountBits: refcountBits as 16,
    lazyRefcounts: version === 3 && header.lazyRefcounts,
  });
  const isSameGrid = clusterBytes === old.clusterBytes && extendedL2 === header.extendedL2;
  refuseForEncrypted(image, options, isSameGrid);
  const geometry = geometryOf(Math.log2(clusterBytes), Math.log2(refcountBits), extendedL2);
  const hasBacking = backingNameBytes !== undefined;
  return {
    ...{ geometry, version, compressionType, isSameGrid },
    compress: compress && { type: compress, compressor: compressorOf(options) },
    dropZeros: dropZeros && (version === 3 || !hasBacking),
    zerosUnallocated: !hasBacking && (dropZeros || version === 2),
  };
}

/** @throws QsnapError NEW_IMAGE_INVALID where the image has something that the new one can't have. */
export function refuseTarget(
  { version, zerosUnallocated, geometry }: CompactTarget,
  { image, disks }: SourceTables,
  { hasZeros }: Survey,
): void {
  for (const { snapshot, diskSizeBytes, l1 } of disks)
    refuseLongL1(snapshot, diskSizeBytes, l1, image, geometry);
  if (version === 3 || image.header.version === 2) return;
  if (hasZeros && !zerosUnallocated) {
    throw invalidOption('version', 'over a backing file version 2 has no way to say what is zero', {
      expected: 'version 3',
    });
  }
  const other = disks.find(({ diskSizeBytes }) => diskSizeBytes !== image.header.diskSizeBytes);
  if (other?.snapshot !== undefined) {
    const message = `the disk of snapshot ${other.snapshot.id} has another size, which takes version 3`;
    throw invalidOption('version', message, { expected: 'version 3' });
  }
}

/** Smaller clusters make longer L1 tables. @throws QsnapError NEW_IMAGE_INVALID where one is too long for QEMU. */
function refuseLongL1(
  snapshot: Snapshot | undefined,
  diskSizeBytes: number,
  l1: Uint32Array,
  { geometry: old }: OpenImage,
  geometry: Geometry,
): void {
  const vmStateBytes = (l1.length / 2 - l1EntriesFor(diskSizeBytes, old)) * old.l2CoverageBytes;
  const vmEntries = Math.max(0, l1EntriesFor(vmStateBytes, geometry));
  const bytes = (l1EntriesFor(diskSizeBytes, geometry) + vmEntries) * 8;
  const { value: most } = LIMITS.l1BytesMax;
  if (bytes <= most) return;
  const which = snapshot === undefined ? 'the active disk' : `snapshot ${snapshot.id}`;
  throw invalidOption('cluster size', `the L1 table of ${which} would have ${bytes} bytes`, {
    expected: `at most ${most} bytes`,
    hint: 'larger clusters make shorter tables',
  });
}

function compressorOf({ compressor, compress }: CompactOptions): Compressor {
  if (compressor !== undefined) return compressor;
  throw new QsnapError('UNSUPPORTED_COMPRESSION', `nothing here compresses by ${compress!}`, {
    actual: compress!,
    hint: 'give a compressor: qsnap/node has one',
  });
}

/** What takes a look at the content that the encryption of an image does not allow. */
function refuseForEncrypted(
  { header }: OpenImage,
  { compress, dropZeros = false, dedupe = false }: CompactOptions,
  isSameGrid: boolean,
): void {
  if (header.encryption === 'none') return;
  if (compress !== undefined) {
    const message = 'clusters of an encrypted image are not compressed';
    throw invalidOption('compression type', message, { actual: header.encryption });
  }
  if (header.encryption === 'aes' && (dropZeros || dedupe || !isSameGrid)) {
    throw new QsnapError('ENCRYPTED', 'clusters with AES are carried over without a look at them', {
      actual: 'aes',
      hint: 'leave out what drops zeros and equal clusters, and what asks for other clusters',
    });
  }
}

function dataElsewhere({ source }: OpenImage): QsnapError {
  return new QsnapError(
    'EXTERNAL_DATA_FILE',
    'the guest data lies in another file, where each cluster has its fixed place',
    { structure: 'header', at: 72, file: source.label },
  );
}
