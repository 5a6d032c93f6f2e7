import { counted } from '../../base/text.js';
import type { CatalogEntry, Told } from './catalog-entry.js';

const snapshotOf = ({ facts }: Told): string =>
  `snapshot ${String(facts['index'])} (id "${String(facts['id'])}", "${String(facts['name'])}")`;

/** Findings about the snapshot table. */
export const SNAPSHOT_FINDINGS = {
  SNAPSHOT_TABLE_UNREADABLE: {
    severity: 'check-error',
    hidesOwners: 'unreadable',
    remedy: 'manual',
    message: ({ facts }) =>
      `the snapshot table can't be read: ${String(facts['problem'])}; ` +
      `${String(facts['read'])} of ${counted(Number(facts['claimed']), 'snapshot')} were read`,
    consequence:
      'what only the unread snapshots hold can not be told from leaks, so leaks are not judged',
    advice:
      'what the image lists may tell more; a repair that drops snapshots names each one first',
  },
  SNAPSHOT_LOST: {
    severity: 'corruption',
    beyondQemu: true,
    losesData: true,
    hidesOwners: 'unreadable',
    remedy: 'manual',
    message: ({ facts }) =>
      `entry ${String(facts['index'])} of the snapshot table is lost: ${String(facts['problem'])}; ` +
      `${String(facts['read'])} of ${counted(Number(facts['claimed']), 'snapshot')} were read`,
    consequence:
      'it and those behind it can not be told, and what only they hold can not be told from leaks',
    advice:
      'a rescue shows what can be brought back; a repair that drops unread snapshots gives it up',
  },
  VM_STATE_BEHIND_SIZE: {
    severity: 'note',
    beyondQemu: true,
    remedy: 'none',
    message: (told) =>
      `${snapshotOf(told)} maps VM state behind the ${counted(Number(told.facts['told']), 'byte')} ` +
      `that its entry tells of: ${counted(Number(told.found), 'byte')} with data`,
    consequence: "a guest's memory stays in the image where no list shows it, and takes room",
    advice:
      'QEMU saves so with mapped-ram on, and needs it then; else it is left from a snapshot that was applied before, and stripping the image takes it out',
  },
  SNAPSHOT_EXTRA_TOO_LONG: {
    severity: 'check-error',
    hidesOwners: 'unreadable',
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
    hidesOwners: 'unreadable',
    remedy: 'manual',
    message: (told) => `the L1 table of ${snapshotOf(told)} lies at ${told.found}`,
    consequence: 'the snapshot can not be read, and what only it holds looks leaked',
    advice: 'the snapshot is lost unless its L1 table is found; dropping it has to be asked for',
  },
  SNAPSHOT_L1_TOO_LARGE: {
    severity: 'corruption',
    hidesOwners: 'unreadable',
    remedy: 'manual',
    message: (told) => `the L1 table of ${snapshotOf(told)} claims ${told.found} entries`,
    consequence: 'the snapshot can not be read, and what only it holds looks leaked',
    advice: 'the snapshot is lost unless its true size is known; dropping it has to be asked for',
  },
  SNAPSHOT_L1_UNREADABLE: {
    severity: 'corruption',
    hidesOwners: 'unreadable',
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
  SNAPSHOT_UNLISTED: {
    severity: 'note',
    beyondQemu: true,
    hidesOwners: 'unreadable',
    remedy: 'manual',
    message: (told) =>
      `behind the snapshot table lies ${snapshotOf(told)}, whose L1 table is still in use`,
    consequence: 'what only it holds looks leaked: it is lost when leaks are freed',
    advice:
      'its deletion was cut off, or the count in the header is too low: a rescue brings it back, a repair of ' +
      'class perhaps-lost frees it',
  },
  SNAPSHOT_NAME_UNPRINTABLE: {
    severity: 'note',
    beyondQemu: true,
    remedy: 'none',
    message: (told) => `the name or id of ${snapshotOf(told)} has characters that can't be shown`,
    consequence: 'programs that print it raw break their lists, or send escapes to a terminal',
    advice: 'give it another name',
  },
  SNAPSHOT_ID_DUPLICATE: {
    severity: 'note',
    beyondQemu: true,
    remedy: 'none',
    message: (told) => `${snapshotOf(told)} has the id of snapshot ${told.found}`,
    consequence: 'programs that go by the id take the first of the two',
    advice: 'select it by its name or its position, as in #0 for the first',
  },
  SNAPSHOT_NAME_DUPLICATE: {
    severity: 'note',
    beyondQemu: true,
    remedy: 'none',
    message: (told) => `${snapshotOf(told)} has the name of snapshot ${told.found}`,
    consequence: 'programs that go by the name take the first of the two',
    advice: 'give it another name',
  },
} as const satisfies Record<string, CatalogEntry>;
