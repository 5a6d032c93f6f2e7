import { newIoBytes } from '../../base/io-bytes.js';
import { MiB } from '../../base/units.js';
import type { ReadRequest } from '../../io/device.js';
import type { DataRules, DataTotals } from './copy-data.js';
import type { NewCluster } from './regrid.js';
import type { SourceTables } from './source-tables.js';
import type { StepItem } from './steps.js';
import type { Survey } from './survey.js';
import { unpackedOf } from './unpacked.js';

/** Bytes of unpacked clusters that are kept for the next step. */
const UNPACKED_BYTES = 8 * MiB;

/** Reads what the clusters of the new image hold from pieces of the old one. */
export class RegridReader {
  readonly #source: SourceTables;
  readonly #survey: Survey;
  readonly #newClusterBytes: number;
  /** Compressed clusters that were unpacked last, by index. */
  readonly #unpacked = new Map<number, Uint8Array>();

  constructor(source: SourceTables, survey: Survey, newClusterBytes: number) {
    this.#source = source;
    this.#survey = survey;
    this.#newClusterBytes = newClusterBytes;
  }

  /**
   * What clusters of the new image hold.
   *
   * @throws QsnapError READ_FAILED, and what a damaged compressed cluster throws.
   */
  async contentsOf(
    step: readonly NewCluster[],
    rules: DataRules,
    totals: DataTotals,
  ): Promise<readonly Uint8Array[]> {
    const clusterBytes = this.#newClusterBytes;
    const memory = newIoBytes(step.length * clusterBytes);
    const contents = step.map((_, i) => memory.subarray(i * clusterBytes, (i + 1) * clusterBytes));
    const reads: ReadRequest[] = [];
    const packed = new Map<number, Uint8Array>();
    for (const [i, { pieces }] of step.entries()) {
      let from = 0;
      for (const { kind, at, length } of pieces) {
        if (kind === 'data') reads.push({ at, into: contents[i]!.subarray(from, from + length) });
        if (kind === 'packed' && !packed.has(at) && !this.#unpacked.has(at)) {
          packed.set(at, new Uint8Array(this.#survey.packed.bytes[at]!));
        }
        from += length;
      }
    }
    const packedReads = [...packed].map(([index, into]) => {
      return { at: this.#survey.packed.at[index]!, into };
    });
    await this.#source.image.source.readBatch([...reads, ...packedReads]);
    for (const { at, into } of reads) rules.cipher?.decrypt(into, at / 512);
    const items = [...packed].map(([index, bytes]): StepItem => ({ kind: 'packed', index, bytes }));
    const { at } = this.#survey.packed;
    const fresh = await unpackedOf(this.#source, items, at, rules.decompressor);
    for (const [index, bytes] of fresh) this.#unpacked.set(index, bytes);
    for (const [i, { pieces }] of step.entries()) {
      let from = 0;
      for (const { kind, at, skip, length } of pieces) {
        if (kind === 'packed') {
          contents[i]!.set(this.#unpacked.get(at)!.subarray(skip, skip + length), from);
        }
        from += length;
      }
    }
    this.#forgetUnpacked();
    const readBytes = [...reads, ...packedReads].reduce((sum, { into }) => sum + into.length, 0);
    totals.readBytes += readBytes;
    rules.onBytes(readBytes);
    return contents;
  }

  /** One old cluster may be in many new ones, which are mostly asked for in a row. */
  #forgetUnpacked(): void {
    const { clusterBytes } = this.#source.format.geometry;
    for (const index of this.#unpacked.keys()) {
      if (this.#unpacked.size * clusterBytes <= UNPACKED_BYTES) return;
      this.#unpacked.delete(index);
    }
  }
}
