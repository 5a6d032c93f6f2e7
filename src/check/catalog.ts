import { counted } from '../base/text.js';
import { hex } from '../base/words.js';
import type { Facts, Remedy, Severity, Structure } from './finding.js';

/** What a message is made from. */
export interface Told {
  readonly structure: Structure;
  readonly at: number;
  readonly cluster: number | undefined;
  readonly found: number | string | undefined;
  readonly expected: number | string | undefined;
  readonly facts: Facts;
}

/** All that is said of a code, in one place; docs/findings.md has the same sentences. */
export interface CatalogEntry {
  readonly severity: Severity;
  /** QEMU doesn't count it. */
  readonly beyondQemu?: true;
  /** QEMU calls the image sound although it loses data: the exit code is 2 all the same. */
  readonly losesData?: true;
  readonly remedy: Remedy;
  readonly message: (told: Told) => string;
  readonly consequence: string;
  readonly advice: string;
}

const entry = ({ structure, at, facts }: Told): string =>
  `the ${structure} entry at ${hex(at)} (${String(facts['entry'])})`;
const snapshotOf = ({ facts }: Told): string =>
  `snapshot ${String(facts['index'])} (id "${String(facts['id'])}", "${String(facts['name'])}")`;
const cluster = (told: Told): string => `host cluster ${String(told.cluster)}`;

const REPAIR_ALL = 'a repair of class all mends it';
const ENTRY_MENDED =
  'a repair of class all clears the stray bits, or makes an entry that leads nowhere read as zeros';

/**
 * Every finding by its code. Codes are API: never renamed, never used again for something else.
 */
export const CATALOG = {
  REFCOUNT_ZERO: {
    severity: 'corruption',
    remedy: 'all',
    message: (told) =>
      `${cluster(told)} is referred to ${counted(Number(told.expected), 'time')} but counts as free`,
    consequence: 'the next allocation may overwrite it',
    advice: 'a repair of class all gives it the refcount that its references ask for',
  },
  REFCOUNT_TOO_LOW: {
    severity: 'corruption',
    remedy: 'all',
    message: (told) =>
      `${cluster(told)} is referred to ${counted(Number(told.expected), 'time')} but has a ` +
      `refcount of ${told.found}`,
    consequence: 'when some of its owners let go of it, it counts as free while it is in use',
    advice: 'a repair of class all gives it the refcount that its references ask for',
  },
  CLUSTER_LEAKED: {
    severity: 'leak',
    remedy: 'leaks',
    message: (told) => `${cluster(told)} has a refcount of ${told.found} but nothing refers to it`,
    consequence: 'it takes room in the file and is never used again; no data is at risk',
    advice: 'a repair of class leaks frees it',
  },
  REFCOUNT_TOO_HIGH: {
    severity: 'leak',
    remedy: 'leaks',
    message: (told) =>
      `${cluster(told)} has a refcount of ${told.found} but is referred to ` +
      counted(Number(told.expected), 'time'),
    consequence: 'it stays allocated when all its owners are gone; no data is at risk',
    advice: 'a repair of class leaks gives it the refcount that its references ask for',
  },
  REFCOUNT_UNREADABLE: {
    severity: 'check-error',
    remedy: 'all',
    message: ({ at, facts }) =>
      `the refcounts of ${counted(Number(facts['clusters']), 'cluster')} can't be read: the ` +
      `refcount-table entry at ${hex(at)} points where no block can be`,
    consequence: 'whether these clusters are in use can be told from their references alone',
    advice: 'a repair of class all makes new refcounts from the references',
  },
  REFCOUNT_OVERFLOW: {
    severity: 'corruption',
    remedy: 'manual',
    message: (told) =>
      `${cluster(told)} has more references than its refcount can hold, which is ${told.expected}`,
    consequence: 'it counts as free before its last owner is gone',
    advice: 'delete snapshots, or convert the image to one with wider refcounts',
  },
  L2_ENTRY_PAST_END: {
    severity: 'corruption',
    remedy: 'all',
    message: (told) => `${entry(told)} points at ${String(told.facts['offset'])}, past the end`,
    consequence: 'the guest reads zeros or an error there; its data is not in the file',
    advice: ENTRY_MENDED,
  },
  L2_ENTRY_RESERVED_BITS: {
    severity: 'corruption',
    remedy: 'all',
    message: (told) => `${entry(told)} has reserved bits set`,
    consequence: 'a later version of the format may give these bits a meaning',
    advice: ENTRY_MENDED,
  },
  L2_ENTRY_MISALIGNED: {
    severity: 'corruption',
    remedy: 'all',
    message: (told) =>
      `${entry(told)} points at ${String(told.facts['offset'])}, which is no cluster boundary`,
    consequence: 'the guest gets an error there, and QEMU marks the image corrupt',
    advice: ENTRY_MENDED,
  },
  L2_COPIED_SET: {
    severity: 'corruption',
    remedy: 'all',
    message: (told) =>
      `${entry(told)} has the COPIED flag, but its cluster has a refcount of ${told.found}`,
    consequence: 'the next guest write changes the cluster in place, for all its owners',
    advice: REPAIR_ALL,
  },
  L2_COPIED_MISSING: {
    severity: 'corruption',
    remedy: 'all',
    message: (told) => `${entry(told)} lacks the COPIED flag, but its cluster has a refcount of 1`,
    consequence: 'the next guest write copies the cluster without need; no data is at risk',
    advice: REPAIR_ALL,
  },
  L2_COMPRESSED_COPIED: {
    severity: 'corruption',
    remedy: 'all',
    message: (told) => `${entry(told)} is compressed and has the COPIED flag`,
    consequence: 'a program that trusts the flag overwrites compressed data in place',
    advice: REPAIR_ALL,
  },
  L2_COMPRESSED_IN_DATA_FILE_IMAGE: {
    severity: 'corruption',
    remedy: 'all',
    message: (told) => `${entry(told)} is compressed in an image with an external data file`,
    consequence: 'the guest gets an error there',
    advice: 'a repair of class all makes the guest cluster read as zeros',
  },
  L2_COMPRESSED_WITH_SUBCLUSTERS: {
    severity: 'corruption',
    remedy: 'all',
    message: (told) => `${entry(told)} is compressed and has a subcluster bitmap`,
    consequence: 'the guest gets an error there',
    advice: REPAIR_ALL,
  },
  L2_SUBCLUSTERS_CONTRADICT: {
    severity: 'corruption',
    remedy: 'all',
    message: (told) => `${entry(told)} says of subclusters that they are both allocated and zero`,
    consequence: 'the guest gets an error there',
    advice: 'a repair of class all makes these subclusters read as zeros',
  },
  L2_SUBCLUSTERS_WITHOUT_CLUSTER: {
    severity: 'corruption',
    remedy: 'all',
    message: (told) => `${entry(told)} says that subclusters are allocated, but has no cluster`,
    consequence: 'the guest gets an error there',
    advice: 'a repair of class all makes these subclusters read as zeros',
  },
  L1_ENTRY_PAST_END: {
    severity: 'corruption',
    remedy: 'all',
    message: (told) => `${entry(told)} points at ${String(told.facts['offset'])}, past the end`,
    consequence: 'all guest data that the L2 table mapped reads as zeros or an error',
    advice: ENTRY_MENDED,
  },
  L1_ENTRY_RESERVED_BITS: {
    severity: 'corruption',
    remedy: 'all',
    message: (told) => `${entry(told)} has reserved bits set`,
    consequence: 'a later version of the format may give these bits a meaning',
    advice: ENTRY_MENDED,
  },
  L1_ENTRY_MISALIGNED: {
    severity: 'corruption',
    remedy: 'all',
    message: (told) =>
      `${entry(told)} points at ${String(told.facts['offset'])}, which is no cluster boundary`,
    consequence: 'the guest gets an error for all that the L2 table mapped',
    advice: ENTRY_MENDED,
  },
  L1_COPIED_SET: {
    severity: 'corruption',
    remedy: 'all',
    message: (told) =>
      `${entry(told)} has the COPIED flag, but its L2 table has a refcount of ${told.found}`,
    consequence: 'the next guest write changes the L2 table in place, for all its owners',
    advice: REPAIR_ALL,
  },
  L1_COPIED_MISSING: {
    severity: 'corruption',
    remedy: 'all',
    message: (told) => `${entry(told)} lacks the COPIED flag, but its L2 table has a refcount of 1`,
    consequence: 'the next guest write copies the L2 table without need; no data is at risk',
    advice: REPAIR_ALL,
  },
  METADATA_PAST_END: {
    severity: 'corruption',
    remedy: 'manual',
    message: ({ structure, facts }) =>
      `the ${structure} of ${String(facts['size'])} bytes at ${String(facts['offset'])} reaches ` +
      'past the end of the file',
    consequence: 'what lay past the end is lost and reads as zeros',
    advice: 'the file was cut off: look for a complete copy of it',
  },
  METADATA_OVERLAP: {
    severity: 'corruption',
    beyondQemu: true,
    losesData: true,
    remedy: 'all',
    message: (told) =>
      `${cluster(told)} holds the ${told.structure} and has ` +
      counted(Number(told.facts['others']), 'reference') +
      ' from elsewhere',
    consequence: 'a write to one of its owners destroys what the other has there',
    advice:
      'a repair of class all gives the metadata a place of its own; look at both owners first',
  },
  REFCOUNT_TABLE_ENTRY_RESERVED_BITS: {
    severity: 'corruption',
    remedy: 'all',
    message: (told) => `${entry(told)} has reserved bits set`,
    consequence: 'a later version of the format may give these bits a meaning',
    advice: 'a repair of class all makes new refcounts',
  },
  REFCOUNT_BLOCK_MISALIGNED: {
    severity: 'corruption',
    remedy: 'all',
    message: (told) => `${entry(told)} points at no cluster boundary`,
    consequence: 'the refcounts of the block are lost; nothing can be allocated there',
    advice: 'a repair of class all makes new refcounts from the references',
  },
  REFCOUNT_BLOCK_PAST_END: {
    severity: 'corruption',
    remedy: 'all',
    message: (told) => `${entry(told)} points past the end of the file`,
    consequence: 'all clusters of the block count as free, and data in them can be overwritten',
    advice: 'a repair of class all makes new refcounts from the references',
  },
  REFCOUNT_BLOCK_SHARED: {
    severity: 'corruption',
    remedy: 'all',
    message: (told) =>
      `${entry(told)} points at a block that has ${counted(Number(told.found), 'reference')}`,
    consequence: 'changing one refcount changes something else with it',
    advice: 'a repair of class all makes new refcounts from the references',
  },
  SNAPSHOT_TABLE_UNREADABLE: {
    severity: 'check-error',
    remedy: 'manual',
    message: ({ facts }) =>
      `the snapshot table can't be read: ${String(facts['problem'])}; ` +
      `${String(facts['read'])} of ${counted(Number(facts['claimed']), 'snapshot')} were read`,
    consequence:
      'what only the unread snapshots hold can not be told from leaks, so leaks are not judged',
    advice: 'qsnap info and list may tell more; a repair that drops snapshots names each one first',
  },
  SNAPSHOT_EXTRA_TOO_LONG: {
    severity: 'check-error',
    remedy: 'manual',
    message: (told) =>
      `snapshot table entry ${String(told.facts['index'])} claims ${told.found} bytes of extra data`,
    consequence: 'QEMU does not open the image, and neither checks nor repairs it without force',
    advice: 'look at the entry: it may be damaged, or written by a program that knows more',
  },
  SNAPSHOT_EXTRA_MISSING: {
    severity: 'corruption',
    remedy: 'all',
    message: (told) =>
      `${snapshotOf(told)} has ${told.found} bytes of extra data, fewer than version 3 asks for`,
    consequence: 'its disk is taken to be as large as the active one',
    advice: 'a repair of class all completes the entry with what its absence means',
  },
  SNAPSHOT_L1_MISALIGNED: {
    severity: 'corruption',
    remedy: 'manual',
    message: (told) => `the L1 table of ${snapshotOf(told)} lies at ${told.found}`,
    consequence: 'the snapshot can not be read, and what only it holds looks leaked',
    advice: 'the snapshot is lost unless its L1 table is found; dropping it has to be asked for',
  },
  SNAPSHOT_L1_TOO_LARGE: {
    severity: 'corruption',
    remedy: 'manual',
    message: (told) => `the L1 table of ${snapshotOf(told)} claims ${told.found} entries`,
    consequence: 'the snapshot can not be read, and what only it holds looks leaked',
    advice: 'the snapshot is lost unless its true size is known; dropping it has to be asked for',
  },
  SNAPSHOT_L1_UNREADABLE: {
    severity: 'corruption',
    remedy: 'manual',
    message: (told) => `the L1 table of ${snapshotOf(told)} lies at ${told.found}, out of reach`,
    consequence: 'the snapshot can not be read, and what only it holds looks leaked',
    advice: 'the snapshot is lost unless its L1 table is found; dropping it has to be asked for',
  },
  SNAPSHOT_L1_TOO_SHORT: {
    severity: 'note',
    beyondQemu: true,
    remedy: 'none',
    message: (told) =>
      `the L1 table of ${snapshotOf(told)} has ${told.found} entries, too few for its disk`,
    consequence: 'the end of its disk reads as unallocated',
    advice: 'nothing needs to be done: what it lacks was never written',
  },
  SNAPSHOT_SIZE_TOO_LARGE: {
    severity: 'note',
    beyondQemu: true,
    remedy: 'manual',
    message: (told) => `the ${String(told.facts['field'])} of ${snapshotOf(told)} is ${told.found}`,
    consequence: 'the snapshot can not be applied or exported',
    advice: 'the entry is damaged; its guest data may still be whole',
  },
  SNAPSHOTS_IN_DATA_FILE_IMAGE: {
    severity: 'corruption',
    remedy: 'manual',
    message: (told) =>
      `the image has an external data file and ${counted(Number(told.found), 'snapshot')}`,
    consequence: 'guest writes change the data of the snapshots',
    advice: 'delete the snapshots, which hold nothing that the active disk does not',
  },
  SNAPSHOT_NAME_UNPRINTABLE: {
    severity: 'note',
    beyondQemu: true,
    remedy: 'none',
    message: (told) => `the name or id of ${snapshotOf(told)} has characters that can't be shown`,
    consequence: 'programs that print it raw break their lists, or send escapes to a terminal',
    advice: 'qsnap rename gives it another name',
  },
  SNAPSHOT_ID_DUPLICATE: {
    severity: 'note',
    beyondQemu: true,
    remedy: 'none',
    message: (told) => `${snapshotOf(told)} has the id of snapshot ${told.found}`,
    consequence: 'programs that go by the id take the first of the two',
    advice: 'select it by its name or its position',
  },
  SNAPSHOT_NAME_DUPLICATE: {
    severity: 'note',
    beyondQemu: true,
    remedy: 'none',
    message: (told) => `${snapshotOf(told)} has the name of snapshot ${told.found}`,
    consequence: 'programs that go by the name take the first of the two',
    advice: 'qsnap rename gives it another name',
  },
  STALE_COPIED_IN_SNAPSHOTS: {
    severity: 'note',
    beyondQemu: true,
    remedy: 'none',
    message: (told) =>
      `${counted(Number(told.found), 'table')} of snapshots alone have COPIED flags`,
    consequence: 'none: the flag means something in the active state only',
    advice: 'nothing needs to be done: QEMU leaves them there when it makes a snapshot',
  },
  VM_STATE_IN_ACTIVE: {
    severity: 'note',
    beyondQemu: true,
    remedy: 'none',
    message: (told) =>
      `the active L1 maps VM state: ${counted(Number(told.found), 'entry').replace('entrys', 'entries')} behind the disk`,
    consequence: 'it is copied into every later snapshot and takes room',
    advice: 'applying a snapshot with qsnap leaves it out',
  },
  ZERO_FLAG_MEANINGLESS: {
    severity: 'note',
    beyondQemu: true,
    remedy: 'all',
    message: (told) => `${entry(told)} has bit 0 set, which is reserved in this image`,
    consequence: 'programs differ in whether the guest reads zeros there',
    advice: 'a repair of class all clears the bit',
  },
  COPIED_WITHOUT_CLUSTER: {
    severity: 'note',
    beyondQemu: true,
    remedy: 'all',
    message: (told) => `${entry(told)} has the COPIED flag but points nowhere`,
    consequence: 'none that is known; some programs refuse such an entry',
    advice: 'a repair of class all clears the flag',
  },
  BITMAP_TABLE_ENTRY_INVALID: {
    severity: 'corruption',
    remedy: 'manual',
    message: (told) => `${entry(told)} of bitmap "${String(told.facts['name'])}" can't be right`,
    consequence: 'the bitmap can not be used, and QEMU may refuse the whole image',
    advice: 'remove the bitmap and make it anew; a backup must then be a full one',
  },
  BITMAP_UNREADABLE: {
    severity: 'check-error',
    remedy: 'manual',
    message: ({ facts }) =>
      `bitmap "${String(facts['name'])}" can't be loaded: ${String(facts['problem'])}`,
    consequence: 'QEMU refuses to open the image',
    advice: 'remove the bitmap and make it anew; a backup must then be a full one',
  },
  BITMAP_IN_USE: {
    severity: 'note',
    beyondQemu: true,
    remedy: 'none',
    message: ({ facts }) => `bitmap "${String(facts['name'])}" was not saved correctly`,
    consequence: 'it may miss changes of the disk; QEMU does not use it',
    advice: 'remove the bitmap and make it anew; a backup must then be a full one',
  },
  BITMAPS_STALE: {
    severity: 'note',
    beyondQemu: true,
    remedy: 'none',
    message: () => 'a program that does not know bitmaps changed the image: its bitmaps are stale',
    consequence: 'the clusters of the bitmaps count as leaked, and QEMU does not use the bitmaps',
    advice: 'make the bitmaps anew; a repair of class leaks frees the clusters of the old ones',
  },
  BITMAPS_EXTENSION_MISSING: {
    severity: 'note',
    beyondQemu: true,
    remedy: 'none',
    message: () => 'the bitmaps bit is set, but there is no bitmaps extension',
    consequence: 'bitmaps that the image may have had are lost',
    advice: 'nothing needs to be done if no bitmaps are missed',
  },
  EXTENSION_UNKNOWN: {
    severity: 'note',
    beyondQemu: true,
    remedy: 'none',
    message: ({ facts }) => `the header has an extension of unknown type ${String(facts['type'])}`,
    consequence: 'if it points at clusters, they look leaked, and a repair of leaks frees them',
    advice: 'find out which program wrote it before repairing leaks',
  },
  AUTOCLEAR_UNKNOWN: {
    severity: 'note',
    beyondQemu: true,
    remedy: 'none',
    message: ({ found }) => `autoclear bits of unknown meaning are set: ${found}`,
    consequence: 'the first edit clears them, as the specification demands',
    advice: 'nothing needs to be done',
  },
  MARKED_DIRTY: {
    severity: 'note',
    beyondQemu: true,
    remedy: 'all',
    message: () => 'the dirty bit is set: the image was not closed properly',
    consequence: 'refcounts may be wrong, and edits are refused',
    advice: 'a repair of class all makes the refcounts right and clears the bit',
  },
  MARKED_CORRUPT: {
    severity: 'note',
    beyondQemu: true,
    remedy: 'all',
    message: () => 'the corrupt bit is set: a program found the image damaged',
    consequence: 'no program writes to the image before it is repaired',
    advice: 'a repair of class all that leaves nothing wrong clears the bit',
  },
} as const satisfies Record<string, CatalogEntry>;

/** A code of the table above. */
export type FindingCode = keyof typeof CATALOG;

/** Whether this is the code of a finding. */
export function isFindingCode(text: string): text is FindingCode {
  return Object.hasOwn(CATALOG, text);
}

/** What is said of a code. */
export function catalogEntry(code: FindingCode): CatalogEntry {
  return CATALOG[code];
}
