import { hinted } from '../../base/hints.js';
import { isQsnapError, QsnapError } from '../../errors.js';
import { visitBitmapEntries } from '../../refs/bitmap-tables.js';
import { openForCheck } from '../../image/open-for-check.js';
import { metadataRegions } from '../../refs/regions.js';
import type { BlockSource } from '../../io/device.js';
import { scanOf } from '../../l1l2/scan.js';
import { offsetOf, type TableFormat } from '../../l1l2/entry.js';
import { formatInFile } from '../../image/table-format.js';
import { refuseNamedDataFile } from './data-file.js';
import type { Evidence, RebuiltPart } from './evidence.js';
import { guessGeometry } from '../../read/scan/guess-geometry.js';
import { headWithout, readRescueHead, type RescueHead } from './head.js';
import { findOldHead } from './old-header.js';
import type { ClusterContents } from '../../read/scan/cluster-looks.js';
import type { ScanWatch } from '../../read/scan/look-through.js';
import { sweepFile } from './sweep-file.js';
import { readRefcountHints } from './stored-refcounts.js';

/** How a rescue is told what can't be found out. */
export interface RescueOptions extends ScanWatch {
  /** Bytes of a cluster, where the header does not say it or is not to be believed. */
  readonly clusterBytes?: number | undefined;
  /** Bytes of the active disk, where the header does not say it or is not to be believed. */
  readonly diskSizeBytes?: number | undefined;
  /** Structures that are not to be believed: they are rebuilt from what else is left. */
  readonly rebuild?: readonly RebuiltPart[] | undefined;
}

/**
 * Reads the header, sweeps the file, and reads what refcounts there are.
 *
 * @throws QsnapError EXTERNAL_DATA_FILE, LIMIT_EXCEEDED, NOT_QCOW2, READ_FAILED, ABORTED.
 */
export async function gatherEvidence(
  source: BlockSource,
  options: RescueOptions,
): Promise<Evidence> {
  const fileSizeBytes = await source.sizeBytes();
  const known = isRebuilt('header', options)
    ? undefined
    : await readRescueHead(source, fileSizeBytes, 0, options.clusterBytes);
  const head = known ?? (await headByTables(source, fileSizeBytes, options));
  const evidence = await swept(source, fileSizeBytes, head, options);
  if (known !== undefined) return evidence;
  const old = await findOldHead(evidence);
  if (old === undefined) return evidence;
  if (old.header.extendedL2 === head.header.extendedL2) {
    return withHead(evidence, evidence.swept, old, options);
  }
  return swept(source, fileSizeBytes, old, options);
}

async function swept(
  source: BlockSource,
  fileSizeBytes: number,
  head: RescueHead,
  options: RescueOptions,
): Promise<Evidence> {
  refuseNamedDataFile(head);
  const { geometry, version } = head.header;
  const format = formatInFile(geometry, version, fileSizeBytes);
  const scan = scanOf(format);
  const file = await sweepFile(source, fileSizeBytes, scan, options);
  return withHead({ source, fileSizeBytes, format, scan }, file, head, options);
}

async function withHead(
  rest: Pick<Evidence, 'source' | 'fileSizeBytes' | 'format' | 'scan'>,
  file: ClusterContents,
  head: RescueHead,
  options: RescueOptions,
): Promise<Evidence> {
  const { source, fileSizeBytes, scan } = rest;
  const { geometry, version } = head.header;
  const format = formatInFile(geometry, version, fileSizeBytes);
  const { diskSizeBytes, rebuild = [] } = options;
  const pointers = isRebuilt('refcounts', options) ? undefined : head.pointers;
  const refcounts = await readRefcountHints(source, pointers, format, fileSizeBytes);
  const ownRegions = head.from === 'header' ? await bitmapRegions(source, format) : [];
  const told: RescueHead =
    diskSizeBytes === undefined ? head : { ...head, diskSizeBytes, sizeFrom: 'caller' };
  return {
    source,
    fileSizeBytes,
    head: told,
    format,
    scan: { ...scan, format },
    swept: file,
    rebuilt: rebuild,
    refcounts,
    ownRegions,
  };
}

const isRebuilt = (part: RebuiltPart, { rebuild = [] }: RescueOptions): boolean =>
  rebuild.includes(part);

/** Where persistent bitmaps lie, as far as they can be read: the copy has none, but they are known. */
async function bitmapRegions(
  source: BlockSource,
  { geometry }: TableFormat,
): Promise<Evidence['ownRegions']> {
  const regions: { at: number; bytes: number }[] = [];
  try {
    const { image } = await openForCheck(source);
    const { clusterBytes } = image.geometry;
    // The header's own cluster size is not the one that is believed.
    if (clusterBytes !== geometry.clusterBytes) return [];
    for (const region of metadataRegions(image, new Float64Array(0))) {
      if (region.owner.startsWith('bitmap')) regions.push(region);
    }
    await visitBitmapEntries(image, image.bitmaps, (high, low) => {
      const at = offsetOf(high, low);
      const isInFile = at > 0 && at % clusterBytes === 0 && at < image.fileSizeBytes;
      if (isInFile && regions.length < BITMAP_REGIONS_MAX)
        regions.push({ at, bytes: clusterBytes });
    });
  } catch (error) {
    // Of an image in this state nothing is known of bitmaps.
    if (!isQsnapError(error)) throw error;
  }
  return regions;
}

/** What the tables of the file say of it, where it has no header. */
async function headByTables(
  source: BlockSource,
  fileSizeBytes: number,
  options: RescueOptions,
): Promise<RescueHead> {
  const guess = await guessGeometry(source, fileSizeBytes, options);
  const clusterBits =
    options.clusterBytes === undefined ? guess?.clusterBits : Math.log2(options.clusterBytes);
  if (clusterBits === undefined) {
    throw nothingFound(source);
  }
  return headWithout(clusterBits, guess?.extendedL2 ?? false, guess?.zstd ?? false, fileSizeBytes);
}

/** The error for a file in which nothing of an image is found. */
export function nothingFound({ label }: BlockSource): QsnapError {
  return new QsnapError('NOT_QCOW2', 'nothing of a qcow2 image is found in the file', {
    file: label,
    expected: 'a header, or tables that lead to each other',
    ...hinted('rescue-by-cluster-size'),
  });
}

const BITMAP_REGIONS_MAX = 2 ** 20;
