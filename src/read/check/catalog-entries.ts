import { counted } from '../../base/text.js';
import { entry, type CatalogEntry } from './catalog-entry.js';

const REPAIR_ALL = 'a repair of class all mends it';
const ONE_BIT_WRONG =
  'it may be the bit that says "compressed" that is wrong: look at the data; a repair of this code by name ' +
  'takes the entry for compressed';
const ENTRY_GIVEN_UP =
  'look for the data elsewhere first; a repair of class unreadable makes the guest read zeros there';

/** Findings about the entries of L1 and L2 tables. */
export const ENTRY_FINDINGS = {
  L2_ENTRY_PAST_END: {
    severity: 'corruption',
    hidesOwners: 'unreadable',
    remedy: 'unreadable',
    message: (told) => `${entry(told)} points at ${String(told.facts['offset'])}, past the end`,
    consequence: 'the guest reads zeros or an error there; its data is not in the file',
    advice: ENTRY_GIVEN_UP,
  },
  L2_ENTRY_RESERVED_BITS: {
    severity: 'corruption',
    remedy: 'all',
    message: (told) => `${entry(told)} has reserved bits set`,
    consequence: 'a later version of the format may give these bits a meaning',
    advice: 'a repair of class all clears them',
  },
  L2_ENTRY_MISALIGNED: {
    severity: 'corruption',
    hidesOwners: 'unreadable',
    remedy: 'unreadable',
    message: (told) =>
      `${entry(told)} points at ${String(told.facts['offset'])}, which is no cluster boundary`,
    consequence: 'the guest gets an error there, and QEMU marks the image corrupt',
    advice: ENTRY_GIVEN_UP,
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
    remedy: 'manual',
    message: (told) => `${entry(told)} is compressed and has the COPIED flag`,
    consequence: 'a program that trusts the flag overwrites compressed data in place',
    advice: ONE_BIT_WRONG,
  },
  L2_COMPRESSED_IN_DATA_FILE_IMAGE: {
    severity: 'corruption',
    remedy: 'manual',
    message: (told) => `${entry(told)} is compressed in an image with an external data file`,
    consequence: 'the guest gets an error there',
    advice:
      'it is the bit that says "compressed" that is wrong: look at the data; a repair of this code by name ' +
      'clears it',
  },
  L2_COMPRESSED_WITH_SUBCLUSTERS: {
    severity: 'corruption',
    remedy: 'manual',
    message: (told) => `${entry(told)} is compressed and has a subcluster bitmap`,
    consequence: 'the guest gets an error there',
    advice: ONE_BIT_WRONG,
  },
  L2_SUBCLUSTERS_CONTRADICT: {
    severity: 'corruption',
    remedy: 'unreadable',
    message: (told) => `${entry(told)} says of subclusters that they are both allocated and zero`,
    consequence: 'the guest gets an error there',
    advice: 'a repair of class unreadable makes these subclusters read as zeros',
  },
  L2_SUBCLUSTERS_WITHOUT_CLUSTER: {
    severity: 'corruption',
    remedy: 'unreadable',
    message: (told) => `${entry(told)} says that subclusters are allocated, but has no cluster`,
    consequence: 'the guest gets an error there',
    advice: 'a repair of class unreadable makes these subclusters read as zeros',
  },
  L1_ENTRY_PAST_END: {
    severity: 'corruption',
    hidesOwners: 'unreadable',
    remedy: 'unreadable',
    message: (told) => `${entry(told)} points at ${String(told.facts['offset'])}, past the end`,
    consequence: 'all guest data that the L2 table mapped reads as zeros or an error',
    advice: ENTRY_GIVEN_UP,
  },
  L1_ENTRY_RESERVED_BITS: {
    severity: 'corruption',
    remedy: 'all',
    message: (told) => `${entry(told)} has reserved bits set`,
    consequence: 'a later version of the format may give these bits a meaning',
    advice: 'a repair of class all clears them',
  },
  L1_ENTRY_MISALIGNED: {
    severity: 'corruption',
    hidesOwners: 'unreadable',
    remedy: 'unreadable',
    message: (told) =>
      `${entry(told)} points at ${String(told.facts['offset'])}, which is no cluster boundary`,
    consequence: 'the guest gets an error for all that the L2 table mapped',
    advice: ENTRY_GIVEN_UP,
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
  ZERO_FLAG_MEANINGLESS: {
    severity: 'note',
    beyondQemu: true,
    remedy: 'manual',
    message: (told) => `${entry(told)} has bit 0 set, which is reserved in this image`,
    consequence: 'programs differ in whether the guest reads zeros there',
    advice:
      'decide what is right: a repair of this code by name clears the bit, and what it hid shows; ' +
      'an image of version 3 may have it',
  },
  COPIED_WITHOUT_CLUSTER: {
    severity: 'note',
    beyondQemu: true,
    hidesOwners: 'inferred',
    remedy: 'all',
    message: (told) => `${entry(told)} has the COPIED flag but points nowhere`,
    consequence: 'some programs refuse such an entry; it may have lost the place that it named',
    advice: 'a repair of class all clears the flag',
  },
  VM_STATE_IN_ACTIVE: {
    severity: 'note',
    beyondQemu: true,
    remedy: 'none',
    message: (told) =>
      `the active L1 maps VM state behind the disk: ${counted(Number(told.found), 'byte')} with data`,
    consequence: "a guest's memory goes into every later snapshot, unseen, and takes room",
    advice: 'stripping the image takes it out, and so does applying a snapshot with qsnap',
  },
  STALE_COPIED_IN_SNAPSHOTS: {
    severity: 'note',
    beyondQemu: true,
    remedy: 'none',
    message: (told) =>
      `in ${counted(Number(told.found), 'L2 table')} that only snapshots have, COPIED flags are set`,
    consequence: 'none: the flag means something in the active state only',
    advice: 'nothing needs to be done, unless a program that ignores snapshots wrote to the image',
  },
} as const satisfies Record<string, CatalogEntry>;
