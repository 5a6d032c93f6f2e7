import { counted } from '../../base/text.js';
import { hex } from '../../base/words.js';
import { cluster, theStructure, type CatalogEntry, type Told } from './catalog-entry.js';

const KEPT = 'a repair leaves all that nothing refers to as it is, unless it is told otherwise';
const notThere = ({ at, facts }: Told): string =>
  `the file ends at ${hex(at)}, and ${counted(Number(facts['bytes']), 'byte')} that it should have ` +
  `are not there: of ${String(facts['what'])}`;
const SHRUNK =
  'QEMU leaves the same, and loses nothing, where it makes a disk smaller that has VM state behind it';
const GIVEN_UP = 'a repair of class perhaps-lost gives up all that nothing refers to, and frees it';
const RESCUE = 'a rescue shows what can be brought back';

/**
 * Findings about lost tables and lost data. While a finding stands that hides owners, a cluster that nothing
 * refers to is no leak: a lost table may have referred to it. QEMU does not look for losses.
 */
export const LOSS_FINDINGS = {
  FILE_CUT_OFF: {
    severity: 'corruption',
    beyondQemu: true,
    losesData: true,
    hidesOwners: 'unreadable',
    remedy: 'manual',
    message: notThere,
    consequence: 'what is missing is lost; some programs read zeros in its place',
    advice: `look for a complete copy of the file; ${RESCUE}; a repair of class unreadable gives up what lies past the end`,
  },
  REFCOUNTS_CUT_OFF: {
    severity: 'corruption',
    beyondQemu: true,
    losesData: true,
    remedy: 'all',
    message: notThere,
    consequence: 'the refcounts that are missing read as 0, and data in use counts as free',
    advice: 'a repair of class all makes new refcounts from the references',
  },
  DISK_SIZE_TOO_SMALL: {
    severity: 'corruption',
    beyondQemu: true,
    losesData: true,
    remedy: 'manual',
    message: ({ facts }) => String(facts['what']),
    consequence: 'the guest does not reach what lies behind the end, and a copy leaves it out',
    advice: 'a rescue makes a copy with the size that you give',
  },
  DATA_FILE_DOUBTED: {
    severity: 'corruption',
    beyondQemu: true,
    losesData: true,
    hidesOwners: 'inferred',
    remedy: 'manual',
    message: ({ facts }) =>
      `the header says that guest data lies in another file, but ${String(facts['what'])} to ` +
      'clusters in use of this one',
    consequence:
      'the header may be wrong; guest data of this file then looks as if nothing led to it',
    advice: RESCUE,
  },
  DATA_FILE_OFFSET_WRONG: {
    severity: 'corruption',
    beyondQemu: true,
    losesData: true,
    remedy: 'manual',
    message: (told) =>
      `${theStructure(told)} entry at ${hex(told.at)} leads to ${String(told.facts['offset'])} of the ` +
      `data file, and not to its own guest offset ${String(told.facts['guest'])}`,
    consequence: 'the guest can not read that cluster',
    advice: 'look for a sound copy of the image; the data file may still hold the cluster',
  },
  TABLE_EMPTIED: {
    severity: 'corruption',
    beyondQemu: true,
    losesData: true,
    hidesOwners: 'inferred',
    remedy: 'perhaps-lost',
    message: (told) =>
      `${theStructure(told)} at ${hex(told.at)} has ${String(told.facts['what'])}, while ` +
      `${counted(Number(told.found), 'cluster')} in use may have been named there`,
    consequence: 'the guest reads zeros where its data may have been',
    advice: `${SHRUNK}; ${RESCUE}; ${GIVEN_UP}`,
  },
  TABLE_UNREFERENCED: {
    severity: 'corruption',
    beyondQemu: true,
    losesData: true,
    hidesOwners: 'inferred',
    remedy: 'perhaps-lost',
    message: (told) =>
      `${cluster(told)}, which nothing refers to, looks like ${String(told.facts['what'])}`,
    consequence: 'what referred to it is lost, and with it all that it leads to',
    advice: `${RESCUE}; ${GIVEN_UP}`,
  },
  REFCOUNTS_CONTRADICT: {
    severity: 'corruption',
    beyondQemu: true,
    losesData: true,
    hidesOwners: 'inferred',
    remedy: 'manual',
    message: ({ found, expected }) =>
      `the refcounts of ${counted(Number(found), 'cluster')} are higher than the references, and those of ` +
      `${counted(Number(expected), 'cluster')} lower: table entries may name the wrong clusters`,
    consequence: 'guest data may be where nothing refers to',
    advice: `a repair raises those that are too low and leaves the others in doubt; ${KEPT}; ${RESCUE}`,
  },
  CLUSTERS_DOUBTED: {
    severity: 'corruption',
    beyondQemu: true,
    losesData: true,
    hidesOwners: 'inferred',
    remedy: 'perhaps-lost',
    message: ({ found }) =>
      `there are seven refcounts more than references at ${counted(Number(found), 'cluster')}, ` +
      'as a repair leaves them that knew of a loss',
    consequence: 'guest data may be where nothing refers to',
    advice: `${RESCUE}; a repair of class perhaps-lost gives it up`,
  },
  SHARED_DATA_UNREFERENCED: {
    severity: 'corruption',
    beyondQemu: true,
    losesData: true,
    hidesOwners: 'inferred',
    remedy: 'perhaps-lost',
    message: ({ found }) =>
      `nothing refers to ${counted(Number(found), 'cluster')} of data that have refcounts above 1, as what ` +
      'several disks have',
    consequence: 'what referred to them for each of those disks may be lost',
    advice: `${RESCUE}; a repair of class perhaps-lost gives them up and frees them`,
  },
  LEAKS_NOT_ALL_SEEN: {
    severity: 'note',
    beyondQemu: true,
    hidesOwners: 'inferred',
    remedy: 'none',
    message: ({ found, expected }) =>
      `nothing refers to ${counted(Number(found), 'cluster')}, and only ${expected} of them were looked at`,
    consequence: 'there may be tables among the others, and lost data with them',
    advice: KEPT,
  },
  CLUSTER_AT_TWO_PLACES: {
    severity: 'corruption',
    beyondQemu: true,
    hidesOwners: 'inferred',
    remedy: 'manual',
    message: (told) =>
      `${told.structure === 'active-l2' ? 'the active disk' : 'a snapshot'} has ${cluster(told)} at two places`,
    consequence: 'one of the two has lost its data, and shows that of the other',
    advice: 'look at both places; the data that one of them had may be where nothing refers to',
  },
  CLUSTER_PERHAPS_LOST: {
    severity: 'leak',
    losesData: true,
    remedy: 'perhaps-lost',
    message: (told) =>
      `${cluster(told)} has a refcount of ${told.found} but nothing refers to it, and a table may be lost`,
    consequence: 'it may hold what only a lost table led to',
    advice: `${RESCUE}; a repair of class perhaps-lost gives it up and frees it`,
  },
  REFERENCES_PERHAPS_LOST: {
    severity: 'leak',
    losesData: true,
    remedy: 'perhaps-lost',
    message: (told) =>
      `${cluster(told)} has a refcount of ${told.found} but is referred to ` +
      `${counted(Number(told.expected), 'time')}, and a table may be lost`,
    consequence: 'it may also belong to what only a lost table led to',
    advice: `${RESCUE}; a repair of class perhaps-lost gives it the refcount that its references ask for`,
  },
} as const satisfies Record<string, CatalogEntry>;
