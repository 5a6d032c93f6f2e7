import { tableFormat } from '../../image/table-format.js';
import type { OpenImage } from '../../image/image.js';
import { offsetOf, type TableFormat } from '../../l1l2/entry.js';
import { scanOf, type Scan } from '../../l1l2/scan.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';
import { checkL1Table, visitL1Tables } from '../../refs/l1-tables.js';

/** A disk that the new image gets. */
export interface SourceDisk {
  /** Undefined: the active disk. */
  readonly snapshot: Snapshot | undefined;
  readonly diskSizeBytes: number;
  /** Its L1 table, in host order. */
  readonly l1: Uint32Array;
}

/** The disks of an image that is made compact, and their L2 tables. */
export interface SourceTables {
  readonly image: OpenImage;
  readonly format: TableFormat;
  readonly scan: Scan;
  /** The active disk first, then snapshots in the order of their table. */
  readonly disks: readonly SourceDisk[];
  /** Host offsets of the L2 tables: in guest order of the active disk, then what only later disks have. */
  readonly tables: Float64Array;
  /** By table: how many L1 entries of the disks lead to it. */
  readonly pointers: Uint32Array;
  /** By table: 1 if an entry of the active disk's L1 is one of them. */
  readonly isActive: Uint8Array;
  /** Index of a table by its host offset. */
  readonly indexes: ReadonlyMap<number, number>;
}

/**
 * Reads the L1 tables of the active disk and of the snapshots.
 *
 * @throws QsnapError IMAGE_DAMAGED, LIMIT_EXCEEDED, READ_FAILED.
 */
export async function readSourceTables(
  image: OpenImage,
  snapshots: readonly Snapshot[],
): Promise<SourceTables> {
  const { header, source } = image;
  const format = tableFormat(image);
  const refs = [header.activeL1, ...snapshots.map(({ l1 }) => l1)];
  const l1s: Uint32Array[] = [];
  await visitL1Tables(source, refs, (index, words) => {
    checkL1Table(index === 0 ? 'active L1' : 'snapshot L1', refs[index]!, words, format);
    l1s[index] = words;
  });
  const indexes = new Map<number, number>();
  const pointers: number[] = [];
  let activeTables = 0;
  for (const [disk, words] of l1s.entries()) {
    for (let i = 0; i < words.length; i += 2) {
      const at = offsetOf(words[i]!, words[i + 1]!);
      if (at === 0) continue;
      const index = indexes.get(at) ?? indexes.size;
      indexes.set(at, index);
      pointers[index] = (pointers[index] ?? 0) + 1;
    }
    if (disk === 0) activeTables = indexes.size;
  }
  const tables = Float64Array.from(indexes.keys());
  return {
    ...{ image, format, scan: scanOf(format), tables, indexes },
    pointers: Uint32Array.from(pointers),
    isActive: new Uint8Array(tables.length).fill(1, 0, activeTables),
    disks: l1s.map((l1, index) => {
      const snapshot = index === 0 ? undefined : snapshots[index - 1]!;
      return { snapshot, diskSizeBytes: snapshot?.diskSizeBytes ?? header.diskSizeBytes, l1 };
    }),
  };
}
