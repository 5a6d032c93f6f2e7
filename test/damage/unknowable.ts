/**
 * Losses that no check of an image's metadata can know, each with its argument. All else must be
 * found. An argument is about what is left in the file, not about how it came to be: so a kind of damage
 * is excused where it hits what can't be told, and nowhere else.
 */
import { checkImage as checkPlain } from '../support/image-builder-check.js';
import { keyOf, twinOf, type Loss } from './losses.js';
import type { Entry, PlainDisk, PlainImage } from './plain-image.js';

/** A guest cluster that reads differently, in both states. */
interface Change {
  readonly before: PlainImage;
  readonly after: PlainImage;
  readonly old: Entry | undefined;
  readonly new: Entry | undefined;
  readonly isReadable: boolean;
  /** The L2 table is the one it was, whole, and still has entries. */
  readonly isTableInUse: boolean;
}

interface Excuse {
  readonly what: string;
  /** Kinds of damage that can come to this, and what they hit. */
  readonly kinds: string;
  readonly argument: string;
  readonly applies: (change: Change) => boolean;
}

const COPIED = 0x8000_0000;
const COMPRESSED = 0x4000_0000;

const withoutCopied = (high: number): number => (high & ~COPIED) >>> 0;

const isSameWord = (one: Entry, other: Entry): boolean =>
  withoutCopied(one.high) === withoutCopied(other.high) && one.low === other.low;

const hasSameBits = (one: Entry, other: Entry): boolean =>
  one.zeroBits === other.zeroBits && one.allocatedBits === other.allocatedBits;

const isCompressed = ({ high }: Entry): boolean => (high & COMPRESSED) !== 0;

/** Whether the file still has all host clusters of the entry that it had. */
function isInFile({ before, after }: Change, entry: Entry): boolean {
  return before.hostClusters(entry).every((cluster) => {
    const end = (cluster + 1) * after.clusterBytes;
    return after.bytes.length >= Math.min(end, before.bytes.length);
  });
}

export const EXCUSES: readonly Excuse[] = [
  {
    what: 'bytes of guest data',
    kinds: 'zeroed, swapped, overwritten, tail of another file, where they hit data clusters',
    argument:
      'The entry leads where it led, and the file has the cluster. The format keeps no checksum of ' +
      'guest data, so any bytes there are what a guest may have written.',
    applies: (change) =>
      change.old !== undefined &&
      change.new !== undefined &&
      isSameWord(change.old, change.new) &&
      hasSameBits(change.old, change.new) &&
      isInFile(change, change.new),
  },
  {
    what: 'a zero flag',
    kinds: 'a bit flipped in an L2 entry of version 3',
    argument:
      'With the flag an entry reads as zeros whether it has a host cluster or not, and without it the ' +
      'cluster is data. Both are sound, and the reference is the same.',
    applies: ({ after, old, new: now, isReadable }) =>
      isReadable &&
      old !== undefined &&
      now !== undefined &&
      after.version === 3 &&
      !after.layout.extendedL2 &&
      !isCompressed(old) &&
      old.high === now.high &&
      (old.low ^ now.low) === 1,
  },
  {
    what: 'the state of a subcluster',
    kinds: 'a bit flipped in the bitmap of an extended L2 entry',
    argument:
      'Allocated, zero and neither are all sound for a subcluster, and the reference to the host ' +
      'cluster is the same. Only allocated and zero at once contradict each other.',
    applies: ({ old, new: now, isReadable }) =>
      isReadable &&
      old !== undefined &&
      now !== undefined &&
      isSameWord(old, now) &&
      !hasSameBits(old, now),
  },
  {
    what: 'where in its host clusters compressed data lies',
    kinds: 'a bit flipped in a compressed L2 entry',
    argument:
      'The entry still touches the same host clusters, so all references are as before. Only ' +
      'unpacking could tell, and a check reads no guest data.',
    applies: ({ before, after, old, new: now }) =>
      old !== undefined &&
      now !== undefined &&
      isCompressed(old) &&
      isCompressed(now) &&
      (now.high & COPIED) === 0 &&
      !isSameWord(old, now) &&
      before.hostClusters(old).join() === after.hostClusters(now).join(),
  },
  {
    what: 'entries of a table that is still in use, with leaks of guest data alone',
    kinds: 'a sector of an L2 table zeroed, an L2 entry flipped to zero',
    argument:
      'A machine that was killed between the allocation of a cluster and the write of its entry leaves ' +
      'the same bytes: a refcount, data, and zeros in a table that has other entries.',
    applies: ({ old, new: now, isTableInUse }) =>
      old !== undefined && now === undefined && isTableInUse,
  },
];

/**
 * Whether every entry is well-formed and inside the file, and every refcount is the number of
 * references. COPIED flags are left out: they say how a cluster may be written, and nothing of where
 * it belongs.
 */
function isCountedRight(before: PlainImage, after: PlainImage): boolean {
  const { corruptions, leaks } = checkPlain(after.bytes);
  if (leaks.length > 0 || corruptions.some((each) => !each.startsWith('COPIED '))) return false;
  const lastCluster = [...after.references.keys()].reduce((most, each) => Math.max(most, each), 0);
  const end = (lastCluster + 1) * after.clusterBytes;
  return after.bytes.length >= Math.min(end, before.bytes.length);
}

/**
 * The keys of losses that can't be known.
 *
 * Beside the list: where every entry is well-formed and every refcount is the number of references,
 * another history leaves just these bytes. That excuses two tables swapped that are referred to as often
 * as each other: a check sees at most COPIED flags that lie, and what it sees is gone once they are set.
 */
export function unknowable(
  before: PlainImage,
  after: PlainImage | undefined,
  losses: readonly Loss[],
): ReadonlySet<string> {
  if (after === undefined) return new Set();
  if (isCountedRight(before, after)) return new Set(losses.map(keyOf));
  return new Set(losses.filter((loss) => isExcused(before, after, loss)).map(keyOf));
}

function isExcused(before: PlainImage, after: PlainImage, { disk, guest }: Loss): boolean {
  const twin = twinOf(disk, before, after);
  if (guest === undefined || twin === undefined || !twin.hasL1) return false;
  if (after.entriesPerL2 !== before.entriesPerL2) return false;
  const change: Change = {
    before,
    after,
    old: before.entry(disk, guest),
    new: after.entry(twin, guest),
    isReadable: after.content(twin, guest) !== 'unreadable',
    isTableInUse: isTableInUse(before.entry(disk, guest), after, twin, guest),
  };
  return EXCUSES.some(({ applies }) => applies(change));
}

function isTableInUse(
  old: Entry | undefined,
  { entriesPerL2, clusterBytes, bytes }: PlainImage,
  disk: PlainDisk,
  guest: number,
): boolean {
  const found = disk.tables.get(Math.floor(guest / entriesPerL2));
  if (old === undefined || found?.table === undefined || found.table.size === 0) return false;
  const isWhole = found.at + clusterBytes <= bytes.length;
  return isWhole && Math.floor(old.at / clusterBytes) * clusterBytes === found.at;
}
