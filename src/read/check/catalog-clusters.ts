import { counted } from '../../base/text.js';
import { hex } from '../../base/words.js';
import { REFCOUNT_CAP } from '../../refcount/block.js';
import { cluster, entry, theStructure, type CatalogEntry } from './catalog-entry.js';

const NEW_REFCOUNTS = 'a repair of class all makes new refcounts from the references';

/** Findings about host clusters: their refcounts, and what lies where it should not. */
export const CLUSTER_FINDINGS = {
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
  REFCOUNT_ABOVE_LIMIT: {
    severity: 'note',
    beyondQemu: true,
    remedy: 'leaks',
    message: (told) =>
      `${cluster(told)} has a refcount of ${told.found}, above ${REFCOUNT_CAP}, the highest that qsnap carries on`,
    consequence: 'edits are refused; no data is at risk',
    advice: 'a repair of class leaks gives it the refcount that its references ask for',
  },
  REFCOUNT_UNREADABLE: {
    severity: 'check-error',
    remedy: 'all',
    message: ({ at, facts }) =>
      `the refcounts of ${counted(Number(facts['clusters']), 'cluster')} can't be read: the ` +
      `refcount table entry at ${hex(at)} points where no block can be`,
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
  METADATA_PAST_END: {
    severity: 'corruption',
    hidesOwners: 'unreadable',
    remedy: 'manual',
    message: (told) =>
      `${theStructure(told)} of ${String(told.facts['size'])} bytes at ${String(told.facts['offset'])} reaches ` +
      'past the end of the file',
    consequence: 'what lay past the end is lost and reads as zeros',
    advice:
      'if the file was cut off, look for a complete copy; if not, a rescue may know the place',
    ofRefcounts: { remedy: 'all', advice: NEW_REFCOUNTS },
  },
  METADATA_OVERLAP: {
    severity: 'corruption',
    beyondQemu: true,
    losesData: true,
    hidesOwners: 'unreadable',
    remedy: 'manual',
    message: (told) =>
      `${cluster(told)} holds ${theStructure(told)} and has ` +
      counted(Number(told.facts['others']), 'reference') +
      ' from elsewhere',
    consequence: 'a write to one of its owners destroys what the other has there',
    advice:
      'look at both owners: one may name the wrong cluster; a repair of this code by name gives the ' +
      'metadata a place of its own',
    ofRefcounts: {
      remedy: 'all',
      advice: `what lies there are no refcounts; ${NEW_REFCOUNTS}`,
    },
  },
} as const satisfies Record<string, CatalogEntry>;
