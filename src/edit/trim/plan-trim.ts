import type { OpenImage } from '../../image/image.js';
import type { BlockSource, ByteRange } from '../../io/device.js';
import { stoppableImage, type Stoppable } from '../../io/stoppable.js';
import { maskOf, popcount } from '../../refcount/bits.js';
import type { Counts } from '../../refcount/counts.js';
import { audit, type AuditedEdit } from '../plan/audit.js';
import { clustersToCover } from '../plan/clusters-to-cover.js';
import { refuseUncountable, refuseUnfit } from '../plan/refuse.js';
import { bound, type Bound } from '../tx/plan.js';
import { freeRanges } from './free-ranges.js';
import { canMove, immovableEnd } from './immovable.js';
import { surveyUnchanged } from './unchanged.js';
import { lastUsed } from './used-end.js';

/** Numbers of a trim, in bytes of whole clusters. */
export interface TrimFacts {
  /** Free, before the last cluster that is in use. Parts of it may be holes already. */
  readonly freeBytes: number;
  /** Free, behind the last cluster that is in use: the file is cut there. */
  readonly tailBytes: number;
  /** Clusters that count as used and that nothing refers to; a trim leaves them alone. */
  readonly leakedClusters: number;
  /**
   * How short the file could become if what can be moved lay in front; tables that change on the way may find no room
   * for that. As long as it is where nothing can be moved, or leaks may lie in the way.
   */
  readonly shortestBytes: number;
}

/** What a trim gives back, as data: nothing in it is referred to. */
export interface TrimPlan<Source extends BlockSource = BlockSource> extends Bound<Source> {
  readonly operation: 'trim';
  /** The header sector that the plan was made from; execution refuses when it has changed. */
  readonly headerSector: Uint8Array;
  /** The size that the file had then; execution refuses when it has another one. */
  readonly fileSizeBytes: number;
  /** Free clusters in front of `endBytes`. */
  readonly punch: readonly ByteRange[];
  /** Where the file ends from then on. */
  readonly endBytes: number;
  readonly facts: TrimFacts;
}

/**
 * Plans to give all that is free in the image back to the host. Tables, refcounts and data are audited first, so that
 * no cluster counts as free that something refers to.
 *
 * ```ts
 * const plan = await planTrim(await openImage(device));
 * await executeTrim(plan);
 * ```
 *
 * @throws QsnapError what `planCreate` throws of the image.
 */
export async function planTrim<Source extends BlockSource>(
  image: OpenImage<Source>,
  { signal }: Stoppable = {},
): Promise<TrimPlan<Source>> {
  refuseUnfit(image);
  const edit = await surveyUnchanged(stoppableImage(image, signal, 'the planning'));
  const clusters = clustersToCover(edit);
  refuseUncountable(clusters, image);
  const audited = await audit(edit, clusters);
  const { headerSector, fileSizeBytes, geometry, source } = image;
  const { clusterBytes } = geometry;
  const { fileClusters } = edit.format;
  const end = lastUsed(audited.counts, fileClusters) + 1;
  const endBytes = Math.min(end * clusterBytes, fileSizeBytes);
  const inFile = source.growable === false ? Math.floor(fileSizeBytes / clusterBytes) : end;
  return bound(
    {
      ...{ operation: 'trim' as const, headerSector, fileSizeBytes },
      punch: freeRanges(audited.free, inFile, clusterBytes),
      endBytes: source.growable === false ? fileSizeBytes : endBytes,
      facts: {
        freeBytes: (end - usedClusters(audited.counts, end)) * clusterBytes,
        tailBytes: fileSizeBytes - endBytes,
        leakedClusters: audited.leakedClusters,
        shortestBytes: await shortest(audited, end),
      },
    },
    image,
  );
}

function usedClusters(counts: Counts, end: number): number {
  let used = 0;
  for (let first = 0; first < end; first += 32) {
    used += popcount(counts.usedAt(first / 32) & maskOf(0, Math.min(32, end - first)));
  }
  return used;
}

async function shortest(edit: AuditedEdit, end: number): Promise<number> {
  const { image, counts, leakedClusters } = edit;
  // What nothing refers to is not moved, and nobody knows here where it lies.
  const staysLong = leakedClusters > 0 || !canMove(image) || image.source.growable === false;
  if (staysLong) return Math.min(end * image.geometry.clusterBytes, image.fileSizeBytes);
  const clusters = Math.max(usedClusters(counts, end), await immovableEnd(edit));
  return Math.min(clusters * image.geometry.clusterBytes, image.fileSizeBytes);
}
