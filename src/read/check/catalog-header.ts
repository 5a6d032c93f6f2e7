import { counted } from '../../base/text.js';
import { entry, type CatalogEntry } from './catalog-entry.js';

const WITHOUT_BITMAPS =
  'a repair that drops bitmaps gives all bitmaps up; a backup must then be a full one';

/** Findings about the header, its extensions and the bitmaps. */
export const HEADER_FINDINGS = {
  L1_OVER_HEADER: {
    severity: 'corruption',
    beyondQemu: true,
    losesData: true,
    hidesOwners: 'unreadable',
    remedy: 'manual',
    message: ({ found }) =>
      `the header says that the active L1 of ${counted(Number(found), 'entry', 'entries')} lies at 0x0, over ` +
      'the header itself',
    consequence: 'where the data of the disk lies is not known; QEMU takes the header for entries',
    advice:
      'a rescue shows what can be brought back; a repair that empties the active L1 makes the disk empty',
  },
  BITMAPS_UNREADABLE: {
    severity: 'check-error',
    hidesOwners: 'unreadable',
    remedy: 'manual',
    message: ({ facts }) => `the bitmaps can't be read: ${String(facts['problem'])}`,
    consequence: 'QEMU refuses to open the image',
    advice: WITHOUT_BITMAPS,
  },
  BITMAP_TABLE_ENTRY_INVALID: {
    severity: 'corruption',
    hidesOwners: 'unreadable',
    remedy: 'manual',
    message: (told) => `${entry(told)} of bitmap "${String(told.facts['name'])}" can't be right`,
    consequence: 'the bitmap can not be used, and QEMU may refuse the whole image',
    advice: WITHOUT_BITMAPS,
  },
  BITMAP_UNREADABLE: {
    severity: 'check-error',
    remedy: 'manual',
    message: ({ facts }) =>
      `bitmap "${String(facts['name'])}" can't be loaded: ${String(facts['problem'])}`,
    consequence: 'QEMU refuses to open the image',
    advice: WITHOUT_BITMAPS,
  },
  BITMAP_TABLE_TOO_LONG: {
    severity: 'check-error',
    remedy: 'manual',
    message: ({ facts }) =>
      `bitmap "${String(facts['name'])}" can't be loaded: its table has ${String(facts['entries'])} ` +
      `entries, and the disk takes ${String(facts['needed'])}`,
    consequence: 'QEMU refuses to open the image',
    advice: WITHOUT_BITMAPS,
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
    hidesOwners: 'unreadable',
    remedy: 'none',
    message: () => 'the bitmaps bit is set, but there is no bitmaps extension',
    consequence:
      'bitmaps that the image may have had are lost; QEMU 7.2 marks the image as corrupt when it next writes to it',
    advice: 'nothing needs to be done if no bitmaps are missed: the first edit clears the bit',
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
