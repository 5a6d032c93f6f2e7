/** Who has which cluster, by an own walk over the bytes of an image: disk by disk, entry by entry. */
import { compressedRange, entryOffset, readPlain, Unreadable } from './crash-judge-image.js';
import { fixtureNames, loadFixture } from './fixture.js';
import { l2EntriesOf } from './image-builder-check.js';
import { layoutOf } from './image-builder.js';

/** An L2 table or a cluster that an L1 table leads to. */
export interface PlainReference {
  readonly kind: 'l2-table' | 'cluster';
  /** 0 is the active disk, n the snapshot at position n - 1. */
  readonly disk: number;
  /** Position in the L1 table. */
  readonly l1Index: number;
  /** Host cluster. */
  readonly cluster: number;
}

/** All that the L1 tables of an image lead to; what lies outside the file is left out. */
export function* plainReferences(bytes: Uint8Array): Generator<PlainReference> {
  const plain = readPlain(bytes);
  const { clusterBits, clusterBytes } = plain;
  const layout = layoutOf(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const disks = [plain, ...plain.snapshots];
  for (const [disk, { l1At, l1Entries }] of disks.entries()) {
    for (let l1Index = 0; l1Index < l1Entries; l1Index++) {
      const at = l1At + l1Index * 8;
      const tableAt = entryOffset(view.getUint32(at), view.getUint32(at + 4));
      if (tableAt === 0) continue;
      yield { kind: 'l2-table', disk, l1Index, cluster: tableAt / clusterBytes };
      for (const { entry } of l2EntriesOf(bytes, layout, tableAt)) {
        const [high, low] = [Number(entry >> 32n), Number(entry & 0xffff_ffffn)];
        const isPacked = (high & 0x4000_0000) !== 0;
        const range = isPacked
          ? compressedRange(high, low, clusterBits)
          : { at: entryOffset(high, low), bytes: clusterBytes };
        const isWrong = !isPacked && range.at % clusterBytes !== 0;
        if (range.at === 0 || isWrong || range.at >= bytes.length) continue;
        const last = Math.floor((range.at + range.bytes - 1) / clusterBytes);
        for (let cluster = Math.floor(range.at / clusterBytes); cluster <= last; cluster++) {
          yield { kind: 'cluster', disk, l1Index, cluster };
        }
      }
    }
  }
}

/** Fixtures that the plain reader can make sense of, and that have snapshots. */
export function plainFixtures(): readonly string[] {
  return fixtureNames().filter((name) => {
    try {
      return readPlain(loadFixture(name)).snapshots.length > 0;
    } catch (error) {
      if (error instanceof Unreadable) return false;
      throw error;
    }
  });
}
