import type { HostClusters } from '../new/host-clusters.js';
import type { WriteQueue } from '../new/write-queue.js';
import { copyData, type DataRules, type DataTotals } from './copy-data.js';
import type { NewLayout } from './new-layout.js';
import { Placement, type EntryRules } from './placement.js';
import type { SourceTables } from './source-tables.js';
import type { Survey } from './survey.js';
import { encodeL1, writeL2Tables } from './write-metadata.js';

/** The disks in clusters of the same size, cluster for cluster. */
export class SameLayout implements NewLayout {
  readonly clusters: HostClusters;
  readonly l1Entries: readonly number[];
  readonly #source: SourceTables;
  readonly #survey: Survey;
  readonly #placement: Placement;

  constructor(source: SourceTables, survey: Survey, rules: EntryRules) {
    this.#source = source;
    this.#survey = survey;
    this.#placement = new Placement(source, survey, rules);
    this.clusters = this.#placement.clusters;
    this.l1Entries = source.disks.map(({ l1 }) => l1.length / 2);
  }

  async copy(queue: WriteQueue, rules: DataRules): Promise<DataTotals> {
    const totals = await copyData(this.#source, this.#survey, this.#placement, queue, rules);
    await writeL2Tables(this.#source, this.#placement, queue);
    return totals;
  }

  encodeL1(disk: number): Uint8Array {
    return encodeL1(this.#source.disks[disk]!, this.#source, this.#placement);
  }
}
