import { wordsInPlace } from '../../base/words.js';
import { refuseUnread, type OpenImage } from '../../image/image.js';
import { tableFormat } from '../../image/table-format.js';
import {
  COMPRESSED,
  COPIED,
  decodeL2Entry,
  ENTRY_PROBLEM_TEXT,
  judgeL1Entry,
  judgeL2Entry,
  offsetOf,
  type TableFormat,
} from '../../l1l2/entry.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';

/** An entry of a table as it is stored. */
export interface LocatedEntry {
  /** Index in its table. */
  readonly index: number;
  /** Byte offset in the file. */
  readonly at: number;
  /** All 64 bits; undefined: the file ends before the entry does. */
  readonly stored: bigint | undefined;
  /** What is wrong with it, in words that complete "the entry …". */
  readonly problem: string | undefined;
}

/** What a guest offset is. */
export type GuestKind =
  | 'data'
  | 'compressed'
  /** Reads as zeros, by a flag; a host cluster may be kept for it. */
  | 'zero'
  /** Nothing is stored for it: a backing file decides, or it reads as zeros. */
  | 'unallocated'
  /** An entry that would tell can't be read, or leads to no table. */
  | 'unreadable'
  /** Behind the disk and behind all VM state. */
  | 'outside';

/** Where a guest offset of a disk lies in the file, and the entries that say so. */
export interface LocatedGuest {
  /** Undefined: the active disk. */
  readonly snapshot: Snapshot | undefined;
  readonly guestOffset: number;
  /** The offset lies behind the end of the disk, where VM state is. */
  readonly isVmState: boolean;
  readonly kind: GuestKind;
  readonly l1: LocatedEntry | undefined;
  readonly l2: LocatedEntry | undefined;
  /** Whether the L2 entry has the COPIED flag: then no other disk has the cluster. */
  readonly copied: boolean;
  /**
   * Byte offset of the data in the file (in the data file, where the image has one); of a compressed cluster that of its
   * first packed byte. Of zeros where a cluster is kept.
   */
  readonly hostOffset: number | undefined;
  /** False: the entry is right, but the file was cut off before this byte of its cluster. */
  readonly isInFile: boolean;
  /** Bytes of all sectors that a compressed cluster's data touches. */
  readonly packedBytes: number | undefined;
  /** With extended L2 entries: which of the 32 subclusters it is. */
  readonly subcluster: number | undefined;
}

/**
 * Tells where a guest offset lies for disks of an image, by one L1 and one L2 entry each. No guest data is read.
 *
 * ```ts
 * const image = await openForReading(device);
 * for (const { snapshot, kind, hostOffset } of await locateGuest(image, 0x10000, [undefined, ...image.snapshots])) {
 *   console.log(snapshot?.name ?? 'active', kind, hostOffset);
 * }
 * ```
 *
 * @param guestOffset in bytes; behind the end of a disk lies its VM state.
 * @param disks snapshots; undefined is the active disk.
 * @throws QsnapError why a disk has no L1 table that can be read, READ_FAILED.
 */
export async function locateGuest(
  image: OpenImage,
  guestOffset: number,
  disks: readonly (Snapshot | undefined)[] = [undefined],
): Promise<readonly LocatedGuest[]> {
  for (const disk of disks) refuseUnread(image, disk);
  const located: LocatedGuest[] = [];
  for (const disk of disks) located.push(await locateOne(image, guestOffset, disk));
  return located;
}

const NOWHERE = {
  copied: false,
  hostOffset: undefined,
  isInFile: true,
  packedBytes: undefined,
  subcluster: undefined,
} as const;

async function locateOne(
  image: OpenImage,
  guestOffset: number,
  snapshot: Snapshot | undefined,
): Promise<LocatedGuest> {
  const { header, geometry, fileSizeBytes } = image;
  const { l2CoverageBytes, clusterBytes, l2EntryBytes } = geometry;
  const l1Table = snapshot?.l1 ?? header.activeL1;
  const isVmState = guestOffset >= (snapshot?.diskSizeBytes ?? header.diskSizeBytes);
  const of = { snapshot, guestOffset, isVmState, ...NOWHERE };
  const index = Math.floor(guestOffset / l2CoverageBytes);
  if (index >= l1Table.entries) return { ...of, kind: 'outside', l1: undefined, l2: undefined };
  const l1At = l1Table.at + index * 8;
  const l1Words = await wordsAt(image, l1At, 8);
  if (l1Words === undefined) {
    return { ...of, kind: 'unreadable', l1: cutOffEntry(index, l1At), l2: undefined };
  }
  const [high, low] = [l1Words[0]!, l1Words[1]!];
  const l1Problem = judgeL1Entry(high, low, tableFormat(image));
  const l1 = entryOf(index, l1At, l1Words, l1Problem && ENTRY_PROBLEM_TEXT[l1Problem]);
  const tableAt = offsetOf(high, low);
  if (tableAt === 0) return { ...of, kind: 'unallocated', l1, l2: undefined };
  const isTable = tableAt % clusterBytes === 0 && tableAt < fileSizeBytes;
  if (!isTable) return { ...of, kind: 'unreadable', l1, l2: undefined };
  const entry = Math.floor((guestOffset % l2CoverageBytes) / clusterBytes);
  const l2At = tableAt + entry * l2EntryBytes;
  const words = await wordsAt(image, l2At, l2EntryBytes);
  if (words === undefined) return { ...of, kind: 'unreadable', l1, l2: cutOffEntry(entry, l2At) };
  const format = formatFor(image);
  const problem = judgeL2Entry(words[0]!, words[1]!, format);
  const l2 = entryOf(entry, l2At, words, problem && ENTRY_PROBLEM_TEXT[problem]);
  const content = contentOf(words, format, guestOffset, header.externalDataFile);
  const isStored = content.kind === 'data' || content.kind === 'compressed';
  const isInFile = !isStored || header.externalDataFile || content.hostOffset! < fileSizeBytes;
  return { ...of, l1, l2, ...content, isInFile };
}

/** A data file may be of any length. */
function formatFor(image: OpenImage): TableFormat {
  const format = tableFormat(image);
  return image.header.externalDataFile ? { ...format, fileClusters: Infinity } : format;
}

/** @returns undefined where the file ends before: a device would give zeros for what is not there. */
async function wordsAt(
  { source, fileSizeBytes }: OpenImage,
  at: number,
  length: number,
): Promise<Uint32Array | undefined> {
  if (at + length > fileSizeBytes) return undefined;
  const bytes = new Uint8Array(length);
  await source.readBatch([{ at, into: bytes }]);
  return wordsInPlace(bytes);
}

function cutOffEntry(index: number, at: number): LocatedEntry {
  return { index, at, stored: undefined, problem: 'lies past the end of the file' };
}

function entryOf(
  index: number,
  at: number,
  words: ArrayLike<number>,
  problem: string | undefined,
): LocatedEntry {
  const stored = (BigInt(words[0]!) << 32n) | BigInt(words[1]!);
  return { index, at, stored, problem };
}

type Content = Pick<
  LocatedGuest,
  'kind' | 'copied' | 'hostOffset' | 'isInFile' | 'packedBytes' | 'subcluster'
>;

/** What an L2 entry says of a guest offset in its cluster. */
function contentOf(
  words: Uint32Array,
  format: TableFormat,
  guestOffset: number,
  isExternal: boolean,
): Content {
  const { clusterBytes, l2EntryBytes } = format.geometry;
  const [high, low] = [words[0]!, words[1]!];
  const inCluster = guestOffset % clusterBytes;
  const entry = decodeL2Entry(high, low, format);
  if (entry.kind === 'compressed') {
    const { at, sectorBytes } = entry;
    return { ...NOWHERE, kind: 'compressed', hostOffset: at, packedBytes: sectorBytes };
  }
  const copied = (high & COPIED) !== 0;
  // The first cluster of a data file has an offset of 0: its COPIED flag tells it from none.
  const isStart = isExternal && copied && (high & COMPRESSED) === 0;
  const at = offsetOf(high, low);
  const hostOffset = at !== 0 || isStart ? at + inCluster : undefined;
  const content = { ...NOWHERE, copied, hostOffset };
  if (l2EntryBytes === 16) return extendedContent(words, inCluster / (clusterBytes / 32), content);
  if (entry.kind.startsWith('zero')) return { ...content, kind: 'zero' };
  return { ...content, kind: hostOffset === undefined ? 'unallocated' : 'data' };
}

/** Spec: Extended L2 Entries. */
function extendedContent(
  words: Uint32Array,
  position: number,
  content: Omit<Content, 'kind'>,
): Content {
  const subcluster = Math.floor(position);
  const isSet = (word: number): boolean => ((word >>> subcluster) & 1) === 1;
  const all = { ...content, subcluster };
  if (isSet(words[2]!)) return { ...all, kind: 'zero' };
  const isData = isSet(words[3]!) && content.hostOffset !== undefined;
  return { ...all, kind: isData ? 'data' : 'unallocated' };
}
