import { hex, wordsInPlace } from '../../base/words.js';
import { offsetOf, type TableFormat } from '../../l1l2/entry.js';
import { hasBit } from '../../qcow2/header.js';
import { LIMITS } from '../../qcow2/limits.js';
import { INCOMPATIBLE } from '../../qcow2/spec.js';
import type { DumpedField } from './dumped.js';
import { readPiece, type DumpableImage } from './dumpable.js';
import { dumpL2Table, dumpTable, formatOf, notRead } from './dump-tables.js';
import { saidL1Entry } from './table-entries.js';

/** A disk whose tables are dumped. */
export interface DumpedDisk {
  readonly name: string;
  readonly l1At: bigint;
  readonly l1Entries: number;
}

const CLUSTERS_UNKNOWN = 'cluster_bits and refcount_order that can be right';

/** The L1 tables of disks. One that several entries of the snapshot table lead to is shown for the first of them. */
export async function* dumpL1Tables(
  image: DumpableImage,
  disks: readonly DumpedDisk[],
  every: boolean,
): AsyncGenerator<readonly DumpedField[]> {
  const format = formatOf(image);
  for (const { disk, at, entries, of, isPlaced, isKnown } of placesOf(image, disks, format)) {
    if (format === undefined)
      yield [notRead(of, 0, 'how long a cluster is, is not known', CLUSTERS_UNKNOWN)];
    else if (!isPlaced) yield [misplacedL1(of, disk)];
    else if (isKnown)
      yield [
        notRead(
          of,
          at,
          `the table at ${hex(at)} lies over one that was shown`,
          'an L1 table of its own',
        ),
      ];
    else {
      const say = (high: number, low: number) => saidL1Entry(high, low, format);
      yield* dumpTable(image, { of: { ...of, every }, at, entries, say });
    }
  }
}

function misplacedL1(of: L1Of, { l1At, l1Entries }: DumpedDisk): DumpedField {
  const at = Number(l1At);
  const text = `${l1Entries} entries at ${hex(l1At)}`;
  const most = LIMITS.l1BytesMax.value / 8;
  return notRead(of, at, text, `at most ${most} entries at a cluster boundary in the file`);
}

interface L1Of {
  readonly part: 'l1';
  readonly structure: string;
  readonly step: number;
}

interface L1Place {
  readonly disk: DumpedDisk;
  readonly of: L1Of;
  readonly at: number;
  readonly entries: number;
  readonly isPlaced: boolean;
  /** Whether a table that begins there came before, or the tables take more than the file: some overlap then. */
  readonly isKnown: boolean;
}

function* placesOf(
  { fileSizeBytes }: DumpableImage,
  disks: readonly DumpedDisk[],
  format: TableFormat | undefined,
): Generator<L1Place> {
  const known = new Set<number>();
  let left = fileSizeBytes;
  const clusterBytes = format?.geometry.clusterBytes ?? 1;
  for (const disk of disks) {
    if (disk.l1Entries === 0) continue;
    const of = { part: 'l1', structure: `L1 table of ${disk.name}`, step: clusterBytes } as const;
    const at = Number(disk.l1At);
    const isInFile = at > 0 && at < fileSizeBytes && at % clusterBytes === 0;
    const isPlaced = isInFile && disk.l1Entries * 8 <= LIMITS.l1BytesMax.value;
    const bytes = Math.min(disk.l1Entries * 8, fileSizeBytes - at);
    const isKnown = isPlaced && (known.has(at) || bytes > left);
    yield { disk, of, at, entries: disk.l1Entries, isPlaced, isKnown };
    if (!isPlaced || isKnown) continue;
    known.add(at);
    left -= bytes;
  }
}

/** The L2 tables of disks, each once: for the first entry of an L1 table that leads to it. */
export async function* dumpL2Tables(
  image: DumpableImage,
  disks: readonly DumpedDisk[],
  every: boolean,
): AsyncGenerator<readonly DumpedField[]> {
  const { source, fileSizeBytes, raw } = image;
  const format = formatOf(image);
  const isExternal = hasBit(raw.incompatible, INCOMPATIBLE['external data file']);
  const seen = new Set<number>();
  for (const { disk, at, entries, of, isPlaced, isKnown } of placesOf(image, disks, format)) {
    if (format === undefined) {
      yield [
        notRead({ ...of, part: 'l2' }, 0, 'how long a cluster is, is not known', CLUSTERS_UNKNOWN),
      ];
      return;
    }
    if (!isPlaced || isKnown) continue;
    const { clusterBytes, l2CoverageBytes } = format.geometry;
    const stored = await readPiece(source, fileSizeBytes, at, entries * 8);
    const words = wordsInPlace(stored.slice(0, stored.length & ~7));
    for (let i = 0; i < words.length; i += 2) {
      const tableAt = offsetOf(words[i]!, words[i + 1]!);
      if (tableAt === 0 || tableAt % clusterBytes !== 0 || tableAt >= fileSizeBytes) continue;
      if (seen.has(tableAt)) continue;
      seen.add(tableAt);
      const guest = BigInt(i / 2) * BigInt(l2CoverageBytes);
      const structure = `L2 table at ${hex(tableAt)} (${disk.name}, guest ${hex(guest)})`;
      const l2 = { part: 'l2', structure, step: clusterBytes, every } as const;
      yield* dumpL2Table(image, format, l2, tableAt, isExternal);
    }
  }
}
