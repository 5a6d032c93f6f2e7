import { COMPRESSED, compressedOffsetHighBits } from '../../l1l2/entry.js';
import { HIGH_WORD } from '../../base/words.js';
import { QsnapError } from '../../errors.js';
import type { HostClusters } from './host-clusters.js';

const SECTOR_BYTES = 512;

/**
 * Places compressed clusters one behind the other, byte by byte: several share a host cluster, and
 * one may lie across two. Each counts once in every host cluster that it touches.
 * QEMU: block/qcow2-refcount.c, qcow2_alloc_bytes.
 */
export class Packing {
  /** Where the next one may begin; 0: in a new cluster. */
  #nextAt = 0;
  readonly #clusters: HostClusters;
  readonly #clusterBytes: number;
  readonly #sharedMax: number;

  /** @param sharedMax references up to which a cluster takes further compressed ones. */
  constructor(clusters: HostClusters, clusterBytes: number, sharedMax = clusters.countMax) {
    this.#clusters = clusters;
    this.#clusterBytes = clusterBytes;
    this.#sharedMax = sharedMax;
  }

  /**
   * Room for so many bytes. They may be more than a cluster has, where another writer compressed.
   *
   * @param references how many L2 entries lead to them, each as often as its table is pointed at.
   * @returns where they begin in the file.
   * @throws QsnapError LIMIT_EXCEEDED, REFCOUNT_OVERFLOW.
   */
  place(bytes: number, references = 1): number {
    const clusterBytes = this.#clusterBytes;
    const clusters = this.#clusters;
    let at = this.#nextAt;
    // A cluster that so many more may not point at is full.
    const open = Math.floor(at / clusterBytes);
    if (at > 0 && clusters.count(open) + references > this.#sharedMax) at = 0;
    const free = at === 0 ? 0 : clusterBytes - (at % clusterBytes);
    if (free >= bytes) clusters.share(open, references);
    else {
      const goesOn = at > 0 && at + free === clusters.length * clusterBytes;
      const needed = goesOn ? bytes - free : bytes;
      const fresh = clusters.append(Math.ceil(needed / clusterBytes), references);
      if (goesOn) clusters.share(open, references);
      else at = fresh;
    }
    const end = at + bytes;
    this.#nextAt = end % clusterBytes === 0 ? 0 : end;
    return at;
  }
}

/**
 * The L2 entry of a compressed cluster, in words.
 *
 * @throws QsnapError LIMIT_EXCEEDED where the entry has too few bits for the place.
 * Spec: Compressed Clusters Descriptor.
 */
export function compressedEntry(
  at: number,
  bytes: number,
  clusterBits: number,
): readonly [high: number, low: number] {
  const highBits = compressedOffsetHighBits(clusterBits);
  // Bits 56 and up are reserved in a place, however many the entry has.
  const end = Math.min(2 ** (highBits + 32), 2 ** 56);
  if (at + bytes > end) {
    const message = `a compressed cluster would end at byte ${at + bytes} of the file`;
    throw new QsnapError('LIMIT_EXCEEDED', message, {
      structure: 'compressed cluster',
      expected: `at most ${end} with clusters of ${2 ** clusterBits} bytes`,
    });
  }
  const moreSectors = Math.floor((at + bytes - 1) / SECTOR_BYTES) - Math.floor(at / SECTOR_BYTES);
  const high = (COMPRESSED | (moreSectors * 2 ** highBits) | Math.floor(at / HIGH_WORD)) >>> 0;
  return [high, at >>> 0];
}
