import { roundUp } from '../../base/units.js';
import { hex } from '../../base/words.js';
import type { TableFormat } from '../../l1l2/entry.js';
import { newCounts, type Counts } from '../../refcount/counts.js';
import type { FindingCode } from './catalog.js';
import type { FindingCollector, Found } from './collector.js';
import type { CutOff } from './cut-off.js';

/**
 * Counts references to host clusters by QEMU's rules. A stretch that reaches a whole cluster or more past the end
 * of the file is one corruption, and none of its clusters is counted. No count passes the highest refcount of the
 * image.
 *
 * QEMU: block/qcow2-refcount.c, qcow2_inc_refcounts_imrt.
 */
export class ReferenceCounter {
  readonly counts: Counts;
  readonly #collector: FindingCollector;
  readonly #clusterBytes: number;
  readonly #fileBytes: number;
  readonly #fileEnd: number;
  readonly #cutOff: CutOff;
  #clusters: number;

  constructor(
    { geometry, fileClusters }: TableFormat,
    fileBytes: number,
    to: FindingCollector,
    cutOff: CutOff,
  ) {
    // A stretch that begins off a cluster's start may end in the cluster behind the last one.
    this.counts = newCounts(fileClusters + 1, geometry);
    this.#collector = to;
    this.#clusterBytes = geometry.clusterBytes;
    this.#fileBytes = fileBytes;
    this.#fileEnd = roundUp(fileBytes, 512);
    this.#cutOff = cutOff;
    this.#clusters = fileClusters;
  }

  /** Clusters to compare: those of the file, and one more where something refers to it. */
  get clusters(): number {
    return this.#clusters;
  }

  /**
   * Counts `times` references to every cluster that the bytes touch.
   *
   * @param pastTheEnd the finding for a stretch that lies behind the end of the file.
   * @param where who refers, for findings.
   */
  count(
    at: number,
    bytes: number,
    times: number,
    pastTheEnd: FindingCode,
    where: () => Found,
  ): void {
    if (bytes <= 0) return;
    const size = this.#clusterBytes;
    if (at + bytes > this.#fileBytes) this.#cutOff.add(at, bytes, pastTheEnd, where);
    if (at + bytes - this.#fileEnd >= size) {
      const found = where();
      // What was stored says it to the byte.
      const facts = { offset: hex(at), ...found.facts, size: bytes };
      this.#collector.add(pastTheEnd, { ...found, times, facts });
      return;
    }
    const last = Math.floor((at + bytes - 1) / size);
    for (let cluster = Math.floor(at / size); cluster <= last; cluster++) {
      this.#countOne(cluster, times, where);
    }
  }

  /** Whether the cluster at a host offset is in the file and was counted before. */
  isReferredTo(at: number): boolean {
    const cluster = Math.floor(at / this.#clusterBytes);
    return cluster < this.counts.clusters && this.counts.get(cluster) !== 0;
  }

  #countOne(cluster: number, times: number, where: () => Found): void {
    const { max, touched, blockShift } = this.counts;
    const count = this.counts.get(cluster) + times;
    this.counts.set(cluster, Math.min(count, max));
    touched[cluster >>> blockShift] = 1;
    this.#clusters = Math.max(this.#clusters, cluster + 1);
    if (count <= max) return;
    const { structure, at } = where();
    this.#collector.add('REFCOUNT_OVERFLOW', {
      structure,
      at,
      cluster,
      times: count - max,
      expected: max,
      facts: { offset: hex(cluster * this.#clusterBytes) },
    });
  }
}
