import { hex } from '../../base/words.js';
import { damaged, damagedEntry } from '../../image/damage.js';
import { judgeBitmapEntry } from '../../image/judge-bitmaps.js';
import { replaceByStored } from '../../refs/sound-refcounts.js';
import { regionClusters } from '../../refs/regions.js';
import { COMPRESSED, COPIED, judgeL2Entry, offsetOf, ZERO_FLAG } from '../../l1l2/entry.js';
import { FlagMarks } from '../../l1l2/flag-marks.js';
import { isOne, nextBadBitmap, NO_PROBLEM, scanOf, type Scan } from '../../l1l2/scan.js';
import { ClusterSet } from '../../refcount/cluster-set.js';
import { newCounts, type Counts } from '../../refcount/counts.js';
import { TableCounter } from '../../refs/table-counter.js';
import { walkReferences } from '../../refs/walk.js';
import { DataMoves } from './data-moves.js';
import { refuseLosses } from './refuse-losses.js';
import type { SurveyedEdit } from './survey.js';
import type { NextState } from './next-state.js';

/** An edit of an image that was found sound. */
export interface AuditedEdit<Next extends NextState = NextState> extends SurveyedEdit<Next> {
  readonly scan: Scan;
  /** The stored refcount of every cluster, with room for clusters past the end of the file. */
  readonly counts: Counts;
  /** Clusters whose stored refcount is 0, up to the end of `counts`. */
  readonly free: ClusterSet;
  /** By index in the tally: 1 where a table has an entry with the COPIED flag. */
  readonly hasCopied: Uint8Array;
  /** How the refcounts of guest data will move. */
  readonly moves: DataMoves;
  readonly leakedClusters: number;
  /** Whether a COPIED flag of the active disk is not what the refcounts ask for. */
  readonly flagsWrong: boolean;
}

/**
 * Counts every reference in the image and compares with what is stored: each L2 table is read
 * once, weighted by how many L1 entries point at it.
 *
 * @param capacityClusters how many clusters the counts must cover: the file and room to grow.
 * @throws QsnapError IMAGE_DAMAGED at the first finding that makes an edit unsafe.
 */
export async function audit<Next extends NextState>(
  edit: SurveyedEdit<Next>,
  capacityClusters: number,
): Promise<AuditedEdit<Next>> {
  const { image, format, tally, regions } = edit;
  const { geometry } = image;
  const scan = scanOf(format, true);
  const counts = newCounts(capacityClusters, geometry);
  for (const region of regions) {
    const [first, end] = regionClusters(region, geometry.clusterBytes);
    for (let cluster = first; cluster < end; cluster++) counts.change(cluster, 1);
  }
  const hasCopied = new Uint8Array(tally.offsets.length);
  const counter = new TableCounter(scan, counts);
  const { runs } = counter;
  const moves = new DataMoves(tally, scan, capacityClusters);
  const marks = new FlagMarks(format.fileClusters);
  await walkReferences(image, tally, {
    l2Table: (index, words) => {
      const at = tally.offsets[index]!;
      const before = tally.before[index]!;
      addPointers(at, before, counts, geometry.clusterBytes);
      counter.count(words, before, (entry) => {
        throw explain(words, entry, at, scan);
      });
      refuseBadBitmaps(words, at, scan);
      hasCopied[index] = runs.anyCopied ? 1 : 0;
      if (tally.active[index] !== 0) {
        if (runs.isPlain) marks.add(runs);
        else marks.addEntries(words, scan);
      }
      moves.add(index, words, runs);
    },
    bitmapEntry: (high, low, at) => {
      countBitmapCluster(high, low, at, edit, counts);
    },
  });

  refuseSharedMetadata(edit, counts);
  const free = new ClusterSet(capacityClusters);
  const { leakedClusters } = await replaceByStored(image, edit.refcountBlocks, counts, free);
  counts.touched.fill(0);
  const flagsWrong = marks.anyWrong(counts) || anyWrongInL1(edit, counts);
  const audited = { ...edit, scan, counts, free, hasCopied, moves, leakedClusters, flagsWrong };
  await refuseLosses(audited);
  return audited;
}

function anyWrongInL1({ activeL1, image }: SurveyedEdit, counts: Counts): boolean {
  for (let i = 0; i < activeL1.length; i += 2) {
    const offset = offsetOf(activeL1[i]!, activeL1[i + 1]!);
    if (offset === 0) continue;
    const isCopied = (activeL1[i]! & COPIED) !== 0;
    if (isCopied !== isOne(counts, offset / image.geometry.clusterBytes)) return true;
  }
  return false;
}

/** Adds pointers to the count of the cluster at `at`. */
function addPointers(at: number, pointers: number, counts: Counts, clusterBytes: number): void {
  if (counts.change(at / clusterBytes, pointers)) return;
  throw tooManyReferences(at, 'refcount block', counts.max);
}

/**
 * Refuses an image in which something else refers to a cluster of metadata: a write to guest data there would destroy
 * the table, and a write to the table the guest data.
 */
function refuseSharedMetadata(edit: SurveyedEdit, counts: Counts): void {
  const { clusterBytes } = edit.image.geometry;
  const refuse = (structure: string, cluster: number): never => {
    const at = cluster * clusterBytes;
    throw damaged({
      structure,
      at,
      message: `guest data or a bitmap lies over the ${structure} at ${hex(at)}`,
    });
  };
  for (const region of edit.regions) {
    const [first, end] = regionClusters(region, clusterBytes);
    for (let cluster = first; cluster < end; cluster++) {
      if (counts.get(cluster) !== 1) refuse(region.owner, cluster);
    }
  }
  const { offsets, before } = edit.tally;
  offsets.forEach((offset, index) => {
    const cluster = offset / clusterBytes;
    if (counts.get(cluster) !== before[index]) refuse('L2 table', cluster);
  });
}

/** Counts the cluster that holds bits of a persistent bitmap. Spec: Bitmap table. */
function countBitmapCluster(
  high: number,
  low: number,
  at: number,
  { image, format }: SurveyedEdit,
  counts: Counts,
): void {
  const { clusterBytes } = image.geometry;
  // QEMU opens no image with such a bitmap, and a check does not count what the entry names.
  const problem = judgeBitmapEntry(high, low, clusterBytes);
  if (problem !== undefined) throw damagedEntry('bitmap-table', at, problem, high, low);
  const offset = offsetOf(high, low);
  if (offset === 0) return;
  if (offset / clusterBytes >= format.fileClusters) {
    throw damagedEntry('bitmap-table', at, 'past-the-end', high, low);
  }
  addPointers(offset, 1, counts, clusterBytes);
}

/** The fast loop said that an entry is wrong; the readable rules say how. */
function explain(words: Uint32Array, entry: number, tableAt: number, scan: Scan): Error {
  const high = words[entry * scan.stride]!;
  const low = words[entry * scan.stride + 1]!;
  const at = tableAt + entry * scan.stride * 4;
  // The loop ignores bit 0 where it has no meaning. In a compressed entry bit 0 is part of the offset.
  const judged = (high & COMPRESSED) === 0 ? low & ~ZERO_FLAG : low;
  const problem = judgeL2Entry(high, judged, scan.format);
  if (problem !== undefined) return damagedEntry('L2 table', at, problem, high, low);
  return tooManyReferences(at, 'L2 table', 2 ** scan.format.geometry.refcountBits - 1);
}

/** An entry that its subcluster bitmap contradicts would be the active disk's after an apply. */
function refuseBadBitmaps(words: Uint32Array, tableAt: number, scan: Scan): void {
  const entry = nextBadBitmap(words, scan, 0);
  if (entry === NO_PROBLEM) return;
  const at = tableAt + entry * scan.stride * 4;
  const message = `the subcluster bitmap of the entry at ${hex(at)} contradicts the entry`;
  throw damaged({ structure: 'L2 table', at, message });
}

function tooManyReferences(at: number, structure: string, max: number): Error {
  return damaged({
    structure,
    at,
    message: `what the entry at ${hex(at)} points at has more references than a refcount can hold`,
    expected: `at most ${max}`,
  });
}
