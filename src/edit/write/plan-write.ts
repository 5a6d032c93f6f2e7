import { roundUp } from '../../base/units.js';
import { QsnapError } from '../../errors.js';
import type { OpenImage } from '../../image/image.js';
import type { BlockSource } from '../../io/device.js';
import { stoppableImage, type Stoppable } from '../../io/stoppable.js';
import { offsetOf } from '../../l1l2/entry.js';
import { walkTables } from '../../refs/tables.js';
import { notingBitmaps } from '../bitmaps/noting-bitmaps.js';
import { planWithBitmaps, type PlanWithBitmaps } from '../bitmaps/plan-with-bitmaps.js';
import {
  keptSnapshots,
  type Encryption,
  type NewClusters,
  type NextState,
} from '../plan/next-state.js';
import { refuseUnfit } from '../plan/refuse.js';
import type { Survey } from '../plan/survey.js';
import type { NewL2Table } from '../tables/table-content.js';
import { changedDisk } from './changed-disk.js';
import { changedTable, type ChangedTable } from './changed-table.js';
import type { DiskChange } from './disk-change.js';

/** What is written into a disk. */
export interface DiskWrite {
  /** Ascending, not over each other, inside the disk. */
  readonly changes: readonly DiskChange[];
  /** Has the new bytes at their guest offsets; bytes past its end read as zeros. */
  readonly content: BlockSource;
  /** The active disk as it is, read through its backing files: where changes cover parts of clusters. */
  readonly disk?: BlockSource | undefined;
  /** Encrypts what is written: where the image is encrypted. */
  readonly cipher?: Encryption | undefined;
  /** Zeros have to be told even where nothing is below: the image is going to get a backing file. */
  readonly getsBacking?: boolean | undefined;
}

/**
 * Plans to write into the active disk by one switch: all of it is there afterwards, or nothing. What changes gets new
 * clusters, so snapshots keep what they have, and the file takes as much room more until the old clusters are freed. The
 * bitmaps that note changes have it by the same switch.
 *
 * ```ts
 * const changes = [{ at: 0, length: 65_536, kind: 'data' as const }];
 * const content = memoryDevice(new Uint8Array(65_536).fill(7));
 * const plan = await planWrite(await openImage(device), { changes, content });
 * await executePlan(plan);
 * ```
 *
 * @throws QsnapError RANGE_INVALID; ENCRYPTED without a cipher; and what `planEdit` throws.
 */
export async function planWrite<Source extends BlockSource>(
  image: OpenImage<Source>,
  write: DiskWrite,
  planning: Stoppable = {},
): Promise<PlanWithBitmaps<Source>> {
  const changes = wholeAtEnd(image, write.changes);
  refuseUnencrypted(image, write);
  refuseUnfit(image);
  const bytes = write.changes.reduce((sum, { length }) => sum + length, 0);
  const request = {
    operation: 'write' as const,
    summary: `write ${bytes} bytes into the disk`,
    created: [],
    next: (survey: Survey) => writtenState(survey, { ...write, changes }),
  };
  const seen = stoppableImage(image, planning.signal, 'the planning');
  const bitmaps = await notingBitmaps(seen, write.changes);
  return planWithBitmaps(image, request, bitmaps, planning);
}

/** Behind the end of the disk nothing is kept: a change that reaches it covers its last cluster. */
function wholeAtEnd(image: OpenImage, changes: readonly DiskChange[]): readonly DiskChange[] {
  const { diskSizeBytes } = image.header;
  let done = 0;
  for (const { at, length } of changes) {
    if (at >= done && length > 0 && at + length <= diskSizeBytes) done = at + length;
    else throw rangeInvalid(at, length, diskSizeBytes);
  }
  const last = changes.at(-1);
  if (last === undefined || done < diskSizeBytes) return changes;
  const end = roundUp(diskSizeBytes, image.geometry.clusterBytes);
  return [...changes.slice(0, -1), { ...last, length: end - last.at }];
}

function rangeInvalid(at: number, length: number, diskSizeBytes: number): QsnapError {
  return new QsnapError('RANGE_INVALID', 'changes must ascend, inside the disk', {
    structure: 'guest data',
    at,
    actual: `${length} bytes`,
    expected: `a range behind the one before it, in ${diskSizeBytes} bytes`,
  });
}

function refuseUnencrypted({ header }: OpenImage, { cipher }: DiskWrite): void {
  const { encryption } = header;
  if (encryption === 'none' || cipher !== undefined) return;
  throw new QsnapError('ENCRYPTED', 'what is written has to be encrypted', {
    structure: 'header',
    actual: encryption,
    hint: 'give the passphrase',
  });
}

async function writtenState(
  { image, activeL1 }: Survey,
  { changes, content, disk, cipher, getsBacking }: DiskWrite,
): Promise<NextState> {
  const { l2CoverageBytes, clusterBytes } = image.geometry;
  const tables = await changedTables(image, activeL1, changes, getsBacking === true);
  const words = activeL1.slice();
  const newL2Tables: NewL2Table[] = [];
  const places: number[] = [];
  for (const [l1Index, table] of tables) {
    words.fill(0, 2 * l1Index, 2 * l1Index + 2);
    const runs = runsOf(table.placed, places.length);
    newL2Tables.push({ l1Index, words: table.words, runs });
    for (const index of table.placed) places.push(l1Index * l2CoverageBytes + index * clusterBytes);
  }
  const newClusters: NewClusters | undefined =
    places.length === 0
      ? undefined
      : {
          guestOffsets: Float64Array.from(places),
          disk: changedDisk(content, changes, disk),
          cipher,
        };
  const { diskSizeBytes } = image.header;
  return {
    diskSizeBytes,
    activeL1: words,
    snapshots: keptSnapshots(image),
    newL2Tables,
    newClusters,
  };
}

/** Entries in a row that get new clusters. @param before how many clusters other tables get before. */
function runsOf(placed: readonly number[], before: number): NewL2Table['runs'] {
  const runs: { first: number; count: number; kind: 'placed'; dataCluster: number }[] = [];
  for (const [i, index] of placed.entries()) {
    const last = runs.at(-1);
    if (last !== undefined && last.first + last.count === index) last.count += 1;
    else runs.push({ first: index, count: 1, kind: 'placed', dataCluster: before + i });
  }
  return runs;
}

/** The L2 tables that change, by their index in the L1. */
async function changedTables(
  image: OpenImage,
  activeL1: Uint32Array,
  changes: readonly DiskChange[],
  getsBacking: boolean,
): Promise<ReadonlyMap<number, ChangedTable>> {
  const { source, header, geometry, backingNameBytes } = image;
  const { l2CoverageBytes, clusterBytes } = geometry;
  const rules = {
    format: { geometry, version: header.version, fileClusters: Infinity },
    hasBacking: getsBacking || backingNameBytes !== undefined,
  };
  const changed = new Map<number, ChangedTable>();
  const change = (l1Index: number, words: Uint32Array): void => {
    const table = changedTable(words, l1Index * l2CoverageBytes, changes, rules);
    if (table !== undefined) changed.set(l1Index, table);
  };
  const indexes = touchedTables(changes, l2CoverageBytes);
  const present: number[] = [];
  for (const l1Index of indexes) {
    const at = offsetOf(activeL1[2 * l1Index]!, activeL1[2 * l1Index + 1]!);
    if (at === 0) change(l1Index, new Uint32Array(clusterBytes / 4));
    else present.push(l1Index);
  }
  const offsets = Float64Array.from(present, (i) =>
    offsetOf(activeL1[2 * i]!, activeL1[2 * i + 1]!),
  );
  await walkTables(source, offsets, clusterBytes, (i, words) => {
    change(present[i]!, words.slice());
  });
  return new Map([...changed].sort(([a], [b]) => a - b));
}

function touchedTables(changes: readonly DiskChange[], l2CoverageBytes: number): readonly number[] {
  const touched: number[] = [];
  let done = 0;
  for (const { at, length } of changes) {
    const end = Math.ceil((at + length) / l2CoverageBytes);
    for (let i = Math.max(done, Math.floor(at / l2CoverageBytes)); i < end; i++) touched.push(i);
    done = end;
  }
  return touched;
}
