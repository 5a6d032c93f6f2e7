import { hex } from '../../base/words.js';
import type { Facts, Remedy, Severity, Structure } from './finding-parts.js';

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
  /**
   * What it is about may have referred to clusters: what nothing else refers to may be its.
   * `unreadable`: it is there and can't be read, or can't be right. `inferred`: it may have been there.
   */
  readonly hidesOwners?: 'unreadable' | 'inferred';
  readonly remedy: Remedy;
  readonly message: (told: Told) => string;
  readonly consequence: string;
  readonly advice: string;
  /** The same where it is refcounts alone that are wrong: every repair makes them anew. */
  readonly ofRefcounts?: { readonly remedy: Remedy; readonly advice: string };
}

/** Structures as messages name them. */
const NAMES: Readonly<Record<Structure, string>> = {
  'main-header': 'header',
  'active-l1': 'active L1',
  'inactive-l1': 'inactive L1',
  'active-l2': 'active L2',
  'inactive-l2': 'inactive L2',
  'refcount-table': 'refcount table',
  'refcount-block': 'refcount block',
  'snapshot-table': 'snapshot table',
  'bitmap-directory': 'bitmap directory',
  'bitmap-table': 'bitmap table',
  'luks-header': 'LUKS header',
  'unreferenced-cluster': 'unreferenced cluster',
  file: 'file',
};

/** A structure by its name: an L2 table is one of many. */
export function theStructure({ structure }: Told): string {
  const name = NAMES[structure];
  if (structure.endsWith('-l2')) return `an ${name} table`;
  return structure === 'refcount-block' ? `a ${name}` : `the ${name}`;
}

/** An entry of a table as messages name it. */
export const entry = ({ structure, at, facts }: Told): string =>
  `the ${NAMES[structure]} entry at ${hex(at)} (${String(facts['entry'])})`;

/** A host cluster as messages name it. */
export const cluster = (told: Told): string => `host cluster ${String(told.cluster)}`;
