/**
 * The damages by which QEMU's own tests of qcow2 try its check and repair, each by a recipe of ours that finds
 * its place in any image. What is aimed at a structure that an image has not leaves it as it is.
 */
import {
  COMPRESSED_BIT,
  COPIED_BIT,
  OFFSET_MASK,
  putU32,
  putU64,
  ZERO_BIT,
} from './image-builder-layout.js';
import {
  word,
  withOffset,
  endOf,
  activeL1,
  tableEntry,
  secondTableEntry,
  snapshotL1,
  activeData,
  dataEntry,
  ownDataEntry,
  snapshotDataEntry,
  packedEntry,
  tableOf,
  counted,
  blockOf,
  both,
  zeroedBlock,
  withoutRefcountTable,
  uncountedAtEnd,
  packedSectors,
  inSnapshot,
  extraCutTo,
  bitmapsAt,
  firstBitmap,
  plus,
  bitmapEntry,
  bitmapsUntrusted,
  raisedVersion,
  flag,
  type SuiteDamage,
} from './suite-places.js';

const LAST_CLUSTER = 0xff_ffff_ffff_0000n;

/** Owners of one cluster that can't both be right. */
const OVERLAPPING: Readonly<Record<string, SuiteDamage>> = {
  'an L1 entry names the L1 table': {
    make: word(activeL1, (_, { layout }) => COPIED_BIT | BigInt(layout.l1At)),
    findings: ['METADATA_OVERLAP'],
  },
  'an L1 entry names a refcount block': {
    make: word(activeL1, (_, patient) => COPIED_BIT | blockOf(patient)),
    findings: ['METADATA_OVERLAP'],
  },
  'data in a refcount block': {
    make: word(dataEntry, (was, patient) => withOffset(was, blockOf(patient))),
    findings: ['METADATA_OVERLAP'],
  },
  'data in the refcount table': {
    make: word(dataEntry, (was, { layout }) => withOffset(was, layout.refcountTableAt)),
    findings: ['METADATA_OVERLAP'],
  },
  'data in the header': {
    make: word(dataEntry, (was) => (was & ~OFFSET_MASK) | 0n),
    findings: ['METADATA_OVERLAP'],
  },
  'data in the active L1': {
    make: word(dataEntry, (was, { layout }) => withOffset(was, layout.l1At)),
    findings: ['METADATA_OVERLAP'],
  },
  'data in an active L2 table': {
    make: word(dataEntry, (was, patient) => withOffset(was, tableOf(patient, true)!)),
    findings: ['METADATA_OVERLAP'],
  },
  "data in a snapshot's L2 table": {
    make: word(ownDataEntry, (was, patient) => {
      const table = tableOf(patient, false);
      return table === undefined ? undefined : withOffset(was, table);
    }),
    findings: ['METADATA_OVERLAP'],
  },
  "data in a snapshot's L1 table": {
    make: word(dataEntry, (was, patient) => {
      const table = snapshotL1(patient);
      return table === undefined ? undefined : withOffset(was, table);
    }),
    findings: ['METADATA_OVERLAP'],
  },
  'data in the snapshot table': {
    make: word(dataEntry, (was, { layout }) =>
      layout.snapshotCount === 0 ? undefined : withOffset(was, layout.snapshotTableAt),
    ),
    findings: ['METADATA_OVERLAP'],
  },
};

const REFCOUNTS: Readonly<Record<string, SuiteDamage>> = {
  'the header counts as free': { make: counted(() => 0) },
  'the active L1 counts as free': { make: counted(({ layout }) => layout.l1At) },
  'an L2 table counts as free': { make: counted((patient) => tableOf(patient, true)) },
  'data counts as free': {
    make: counted((patient) => (activeData(patient)?.entry ?? 0n) & OFFSET_MASK),
  },
  'a refcount block counts as free': { make: counted(blockOf) },
  'the refcount table counts as free': { make: counted(tableEntry) },
  'a refcount one too high': {
    make: counted(
      (patient) => tableOf(patient, true),
      (was) => was + 1n,
    ),
  },
  'a refcount block of zeros': { make: zeroedBlock },
  'the refcount table without its first entry': { make: word(tableEntry, () => 0n) },
  'no refcount table': { make: withoutRefcountTable },
  'a refcount table of no clusters': {
    make: ({ bytes }) => {
      putU32(bytes, 56, 0);
      return bytes;
    },
  },
  'a refcount block off its cluster': { make: word(tableEntry, (was) => was | 0x200n) },
  'a refcount block off its cluster, and bits that mean nothing': {
    make: word(tableEntry, (was) => was | 0x2an),
  },
  'a refcount block at the end of the file': {
    make: word(secondTableEntry, (was, patient) =>
      was === 0n ? BigInt(endOf(patient)) : undefined,
    ),
  },
  'a refcount block past the end that is counted': {
    make: both(
      word(secondTableEntry, (was, patient) => (was === 0n ? BigInt(endOf(patient)) : undefined)),
      counted(endOf, () => 1n),
    ),
  },
  'a refcount block at the highest positive offset': {
    make: word(secondTableEntry, () => 0x7fff_ffff_ffff_0000n),
  },
  'a refcount block at the highest offset': {
    make: word(secondTableEntry, () => 0xffff_ffff_ffff_0000n),
  },
  'two refcount blocks in one cluster': {
    make: word(secondTableEntry, (was, patient) => (was === 0n ? blockOf(patient) : undefined)),
  },
  'a refcount block in a data cluster': {
    make: word(secondTableEntry, (was, patient) =>
      was === 0n ? (activeData(patient)?.entry ?? 0n) & OFFSET_MASK : undefined,
    ),
  },
  'a refcount block inside the file that is not counted': {
    make: word(secondTableEntry, (was, { free, layout }) =>
      was !== 0n || free.length === 0 ? undefined : BigInt(free[0]! * layout.clusterBytes),
    ),
  },
  'data behind all that is counted': { make: uncountedAtEnd },
};

const ENTRIES: Readonly<Record<string, SuiteDamage>> = {
  'an L1 entry off its cluster': { make: word(activeL1, (was) => was | 0x200n) },
  'an L1 entry past the end': {
    make: word(activeL1, (was, patient) => withOffset(was, endOf(patient))),
  },
  "a snapshot's L1 entry off its cluster": { make: word(snapshotL1, (was) => was | 0x200n) },
  'reserved bits of an L1 entry': { make: word(activeL1, (was) => was | (1n << 57n) | 1n) },
  'COPIED missing in an L1 entry': {
    make: word(activeL1, (was) => was & ~COPIED_BIT),
  },
  'COPIED in an L1 entry that is shared': { make: word(snapshotL1, (was) => was | COPIED_BIT) },
  'COPIED missing in an L2 entry': { make: word(ownDataEntry, (was) => was & ~COPIED_BIT) },
  'COPIED in an L2 entry that is shared': {
    make: word(snapshotDataEntry, (was) => was | COPIED_BIT),
  },
  'an L2 entry off its cluster': {
    make: word(dataEntry, (was, { layout }) =>
      layout.clusterBytes === 512 ? undefined : was | 0x200n,
    ),
  },
  'a zero cluster whose room is off its cluster': {
    make: word(ownDataEntry, (was, { layout }) =>
      layout.version < 3 || layout.extendedL2 || layout.clusterBytes === 512
        ? undefined
        : was | ZERO_BIT | 0x200n,
    ),
  },
  'a zero cluster whose room is off its cluster in the header': {
    make: word(ownDataEntry, (_, { layout }) =>
      layout.version < 3 || layout.extendedL2 || layout.clusterBytes === 512
        ? undefined
        : COPIED_BIT | ZERO_BIT | 0x200n,
    ),
  },
  'an L2 entry past the end': {
    make: word(dataEntry, (was, patient) => withOffset(was, endOf(patient))),
  },
  'an L2 entry past all that can be counted': {
    make: word(dataEntry, (was) => withOffset(was, 0x80_0000_0000_0000n)),
  },
  'an L2 entry at the last offset': {
    make: word(dataEntry, (was) => withOffset(was, LAST_CLUSTER)),
  },
  'COPIED in a compressed entry': { make: word(packedEntry, (was) => was | COPIED_BIT) },
  'compressed data cut short': {
    make: word(
      packedEntry,
      packedSectors(() => 0n),
    ),
  },
  'compressed data as long as can be': {
    make: word(
      packedEntry,
      packedSectors((most) => most),
    ),
  },
  'compressed data past the end': {
    make: word(packedEntry, (was, patient) => {
      const mask = (1n << BigInt(62 - (patient.layout.clusterBits - 8))) - 1n;
      return (was & ~mask) | BigInt(endOf(patient)) | COMPRESSED_BIT;
    }),
  },
};

const SNAPSHOTS: Readonly<Record<string, SuiteDamage>> = {
  'an active L1 over the header': {
    make: (patient) => {
      putU64(patient.bytes, 40, 0n);
      return patient.bytes;
    },
    givesUp: { emptyL1s: ['active'] },
    beyondQemu: true,
  },
  'more snapshots claimed than anyone reads': {
    make: ({ bytes, layout }) => {
      if (layout.snapshotCount === 0) return undefined;
      putU32(bytes, 60, 0x1_0000 + layout.snapshotCount);
      return bytes;
    },
    givesUp: { dropUnreadSnapshots: true },
    beyondQemu: true,
  },
  'a deletion that ended before anything was freed': {
    make: ({ bytes, layout }) => {
      if (layout.snapshotCount === 0) return undefined;
      putU32(bytes, 60, 0);
      putU64(bytes, 64, 0n);
      return bytes;
    },
  },
  'a snapshot L1 off its cluster': {
    make: inSnapshot(8, 0, (was) => was | 0x200n),
    givesUp: { dropSnapshots: [0] },
  },
  'a snapshot L1 past the end': {
    make: inSnapshot(8, 0, (_, patient) => BigInt(endOf(patient))),
    givesUp: { dropSnapshots: [0] },
  },
  'a snapshot L1 at the last offset': {
    make: inSnapshot(8, 0, () => 0x7fff_ffff_ffff_0000n),
    givesUp: { dropSnapshots: [0] },
  },
  'a snapshot L1 of more entries than anyone takes': {
    make: inSnapshot(4, 8, () => 0x1000_0000n),
    givesUp: { dropSnapshots: [0] },
  },
  'a snapshot entry without extra data': { make: extraCutTo(0) },
  'a snapshot entry without its disk size': { make: extraCutTo(8) },
  'version 3 over the snapshot table of version 2': { make: raisedVersion },
  'too much extra data': {
    make: inSnapshot(4, 36, () => 0x1_0000n, -1),
    findings: ['SNAPSHOT_EXTRA_TOO_LONG'],
    givesUp: { dropUnreadSnapshots: true },
  },
  'a snapshot table off its cluster': {
    make: word(
      ({ layout }) => (layout.snapshotCount > 0 ? 64 : undefined),
      (was) => was | 0x200n,
    ),
    givesUp: { dropUnreadSnapshots: true },
  },
};

/** QEMU does not open such an image, or not for a repair. */
const DROPPED = { givesUp: { dropBitmaps: true }, beyondQemu: true } as const;

const MARKS_AND_BITMAPS: Readonly<Record<string, SuiteDamage>> = {
  'marked dirty': { make: flag(1n) },
  'marked dirty, and clusters that nothing refers to': {
    make: both(
      flag(1n),
      counted(
        ({ free, layout }) => (free.length === 0 ? undefined : free[0]! * layout.clusterBytes),
        () => 1n,
      ),
    ),
  },
  'marked dirty, and refcounts that were not written': {
    make: both(
      flag(1n),
      counted((patient) => tableOf(patient, true)),
    ),
  },
  'marked corrupt': { make: flag(2n) },
  'bitmaps that nobody trusts': { make: bitmapsUntrusted },
  'no bitmaps in their directory': {
    ...DROPPED,
    make: (patient) => {
      const at = bitmapsAt(patient);
      if (at === undefined) return undefined;
      putU32(patient.bytes, at, 0);
      return patient.bytes;
    },
  },
  'a bitmap directory of another length': {
    ...DROPPED,
    make: word(plus(bitmapsAt, 8), (was) => was + 8n),
  },
  'a bitmap directory off its cluster': {
    ...DROPPED,
    make: word(plus(bitmapsAt, 16), (was) => was | 8n),
  },
  'a bitmap directory in the active L1': {
    ...DROPPED,
    make: word(plus(bitmapsAt, 16), (_, { layout }) => BigInt(layout.l1At)),
  },
  'a bitmap directory past the end': {
    ...DROPPED,
    make: word(plus(bitmapsAt, 16), (_, patient) => BigInt(endOf(patient))),
  },
  'a bitmap table past the end': {
    // QEMU makes a bitmap without a bit set of it: the next backup would leave out what has changed.
    givesUp: { dropBitmaps: true },
    make: word(firstBitmap, (_, patient) => BigInt(endOf(patient))),
  },
  'a bitmap table in the active L1': {
    givesUp: { dropBitmaps: true },
    make: word(firstBitmap, (_, { layout }) => BigInt(layout.l1At)),
  },
  'a bitmap table in the refcount table': {
    givesUp: { dropBitmaps: true },
    make: word(firstBitmap, (_, { layout }) => BigInt(layout.refcountTableAt)),
  },
  'a bitmap table off its cluster': {
    ...DROPPED,
    make: word(firstBitmap, (was) => was | 8n),
  },
  'a bitmap without a table': { ...DROPPED, make: word(firstBitmap, () => 0n) },
  'reserved bits of a bitmap table entry': {
    ...DROPPED,
    make: word(bitmapEntry, (was) => was | (1n << 60n)),
  },
  'bitmap data past the end': {
    ...DROPPED,
    make: word(bitmapEntry, (_, patient) => BigInt(endOf(patient))),
  },
  'bitmap data in the active L1': {
    givesUp: { dropBitmaps: true },
    make: word(bitmapEntry, (_, { layout }) => BigInt(layout.l1At)),
  },
  'bitmap data in guest data': {
    givesUp: { dropBitmaps: true },
    make: word(bitmapEntry, (_, patient) => {
      const data = (activeData(patient)?.entry ?? 0n) & OFFSET_MASK;
      return data === 0n ? undefined : data;
    }),
  },
  'bitmap data in a refcount block': {
    givesUp: { dropBitmaps: true },
    make: word(bitmapEntry, (_, patient) => blockOf(patient)),
  },
  'flags of a bitmap that nobody knows': {
    ...DROPPED,
    make: word(plus(firstBitmap, 8), (was) => was | (1n << 20n)),
  },
};

export const SUITE_DAMAGES: Readonly<Record<string, SuiteDamage>> = {
  ...OVERLAPPING,
  ...REFCOUNTS,
  ...ENTRIES,
  ...SNAPSHOTS,
  ...MARKS_AND_BITMAPS,
};
