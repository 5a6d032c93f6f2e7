import { clustersToHold, hostOffset, roundUp } from '../base/units.js';
import { QsnapError } from '../errors.js';
import type { Image } from '../image/image.js';
import { encodeSwitch } from '../qcow2/header.js';
import { LIMITS } from '../qcow2/limits.js';
import { AUTOCLEAR, SWITCH_FROM } from '../qcow2/spec.js';
import type { ByteRange } from '../io/device.js';
import { shadowWriteBytes, type EditPlan, type WritePlan } from '../tx/plan.js';
import { assertSafe } from '../tx/rules.js';
import { audit, type Audit } from './audit.js';
import { Ledger, OutOfClusters } from './ledger.js';
import type { NextState } from './next-state.js';
import { placeTables } from './place.js';
import { placeRefcounts } from './place-refcounts.js';
import { moveDataRefcounts, tablesToCopy } from './retarget.js';
import { survey, type Survey } from './survey.js';

/** How much larger the ledger gets each time it turned out too small, and how often it may. */
const LEDGER_GROWTH = 16;
const LEDGER_TRIES = 4;

/**
 * Plans an edit: proves the image sound, computes the whole new state in memory and where each
 * piece goes. Nothing is written; what can fail for reasons that lie in the image fails here.
 *
 * @throws QsnapError IMAGE_DIRTY, IMAGE_MARKED_CORRUPT, EXTERNAL_DATA_FILE, IMAGE_DAMAGED,
 *   REFCOUNT_OVERFLOW, LIMIT_EXCEEDED, NO_SPACE.
 */
export async function planEdit(
  image: Image,
  next: NextState,
  about: Pick<EditPlan, 'operation' | 'summary' | 'created'>,
): Promise<EditPlan> {
  refuseUnfit(image);
  const surveyed = await survey(image, next);
  const growable = !('growable' in image.source) || image.source.growable === true;
  for (let attempt = 0; ; attempt++) {
    const clusters = ledgerClusters(surveyed, next) * LEDGER_GROWTH ** attempt;
    refuseUncountable(clusters, image);
    const audited = await audit(surveyed, clusters);
    const { fileClusters } = surveyed.format;
    const ledger = new Ledger(image, audited.counts, audited.free, fileClusters, growable);
    try {
      return { ...(await place(surveyed, next, audited, ledger)), ...about };
    } catch (error) {
      if (!(error instanceof OutOfClusters)) throw error;
      if (!growable || attempt === LEDGER_TRIES) throw noRoom(error, image);
    }
  }
}

/** What no edit may touch, whatever it does. */
function refuseUnfit(image: Image): void {
  const { header } = image;
  if (header.externalDataFile) {
    throw new QsnapError(
      'EXTERNAL_DATA_FILE',
      'the image keeps its data in an external data file, which rules internal snapshots out',
      { structure: 'header', at: 72, hint: 'snapshot the data file by other means' },
    );
  }
  if (header.markedCorrupt) {
    throw new QsnapError('IMAGE_MARKED_CORRUPT', 'the image is marked as corrupt', {
      structure: 'header',
      at: 72,
      hint: 'after a backup, `qemu-img check -r all` repairs it and takes the mark away',
    });
  }
  if (header.dirty) {
    throw new QsnapError(
      'IMAGE_DIRTY',
      'the image was not closed properly, so its refcounts may be wrong',
      {
        structure: 'header',
        at: 72,
        hint: 'after a backup, `qemu-img check -r all` repairs it and takes the mark away',
      },
    );
  }
}

/** A file of more clusters than the largest refcount table that QEMU reads can count. */
function refuseUncountable(clusters: number, image: Image): void {
  const tableBytes = Math.ceil(clusters / image.geometry.refcountBlockEntries) * 8;
  const max = LIMITS.refcountTableBytesMax.value;
  if (tableBytes <= max) return;
  throw new QsnapError('LIMIT_EXCEEDED', `the edit needs a refcount table of ${tableBytes} bytes`, {
    structure: 'refcount table',
    expected: `at most ${max} bytes`,
    hint: 'make the image anew with larger clusters or narrower refcounts',
  });
}

/**
 * Clusters that the ledger covers: the file, what the edit places at most, and the rest of the
 * last refcount block, since blocks are written whole.
 */
function ledgerClusters(from: Survey, next: NextState): number {
  const { geometry, header } = from.image;
  const { clusterBytes, refcountBlockEntries } = geometry;
  const { written } = from.tally;
  const l1Words = [next.activeL1, ...next.snapshots.map(({ l1 }) => l1)].map((l1) => {
    if (l1 === undefined) return 0;
    return l1 instanceof Uint32Array ? l1.length : l1.kind === 'new' ? l1.words.length : 0;
  });
  const entryBytes = next.snapshots.map(({ entry }) => {
    return 48 + entry.extraData.length + entry.idBytes.length + entry.nameBytes.length;
  });
  const tables =
    written.reduce((sum, pointers) => sum + (pointers > 0 ? 1 : 0), 0) +
    l1Words.reduce((sum, words) => sum + clustersToHold(words * 4, clusterBytes), 0) +
    clustersToHold(
      entryBytes.reduce((sum, bytes) => sum + bytes, 0),
      clusterBytes,
    );
  let clusters = from.format.fileClusters + tables + header.refcountTable.clusters + 1;
  // Every round adds the blocks and the table that the rounds before made necessary.
  for (let round = 0; round < 3; round++) {
    const blocks = Math.ceil(clusters / refcountBlockEntries) + 1;
    const tableClusters = clustersToHold(blocks * 8, clusterBytes);
    clusters = Math.max(
      clusters,
      from.format.fileClusters + tables + blocks + tableClusters + header.refcountTable.clusters,
    );
  }
  return roundUp(clusters, refcountBlockEntries);
}

async function place(
  surveyed: Survey,
  next: NextState,
  audited: Audit,
  ledger: Ledger,
): Promise<WritePlan & Pick<EditPlan, 'facts'>> {
  const { image } = surveyed;
  const { clusterBytes } = image.geometry;
  const moved = await moveDataRefcounts(surveyed, audited, ledger);
  const copied =
    next.activeL1 === undefined ? [] : await tablesToCopy(surveyed, audited, ledger, moved);
  const placed = placeTables(surveyed, next, audited, copied, ledger);
  const refcounts = placeRefcounts(surveyed, ledger);
  const freed = freedRanges(ledger, image);
  const freedBytes = freed.reduce((sum, range) => sum + range.length, 0);
  const shadow = [...placed.shadow, ...refcounts.writes];
  const knownAutoclear =
    (1n << BigInt(AUTOCLEAR.bitmaps)) | (1n << BigInt(AUTOCLEAR['raw external data']));
  const plan: WritePlan = {
    headerSector: image.headerSector,
    fileSizeBytes: image.fileSizeBytes,
    shadow,
    switch: {
      at: SWITCH_FROM,
      bytes: encodeSwitch(image.header.version, image.headerSector, {
        diskSizeBytes: next.diskSizeBytes,
        activeL1: placed.activeL1,
        refcountTable: { ...refcounts.table, at: hostOffset(refcounts.table.at) },
        snapshotTable: { ...placed.snapshotTable, at: hostOffset(placed.snapshotTable.at) },
        autoclear: image.header.autoclear & knownAutoclear,
      }),
    },
    punch: freed,
  };
  assertSafe(plan);
  return {
    ...plan,
    facts: {
      shadowBytes: shadow.reduce((sum, write) => sum + shadowWriteBytes(write), 0),
      growthBytes: Math.max(0, ledger.endCluster * clusterBytes - image.fileSizeBytes),
      freedBytes,
      freedDataBytes: freedBytes - ledger.freedMetadataClusters * clusterBytes,
      leakedClusters: audited.leakedClusters,
    },
  };
}

/** Clusters that were in use before the edit and are free after it, neighbours joined. */
function freedRanges(ledger: Ledger, image: Image): readonly ByteRange[] {
  const { clusterBytes, refcountBlockEntries } = image.geometry;
  const { values } = ledger.counts;
  const ranges: { at: number; length: number }[] = [];
  for (let block = 0; block < ledger.counts.touched.length; block++) {
    if (ledger.counts.touched[block] === 0) continue;
    const first = block * refcountBlockEntries;
    for (let cluster = first; cluster < first + refcountBlockEntries; cluster++) {
      if (values[cluster] !== 0 || ledger.free.has(cluster)) continue;
      const at = cluster * clusterBytes;
      const last = ranges.at(-1);
      if (last !== undefined && last.at + last.length === at) last.length += clusterBytes;
      else ranges.push({ at, length: clusterBytes });
    }
  }
  return ranges;
}

function noRoom(error: OutOfClusters, image: Image): QsnapError {
  const bytesNeeded = error.clusters * image.geometry.clusterBytes;
  return new QsnapError(
    'NO_SPACE',
    `the edit needs ${bytesNeeded} bytes more than the medium has free`,
    { bytesNeeded, imageState: 'unchanged' },
  );
}
