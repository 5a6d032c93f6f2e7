import { COMPRESSED, COPIED, offsetOf } from '../../l1l2/entry.js';
import { walkTables } from '../../refs/tables.js';
import type { TableGround } from './table-votes.js';

/** A cluster, or several in a row, that look like an L1 table: most pointers lead to tables. */
export interface L1Candidate {
  readonly at: number;
  readonly clusters: number;
  readonly pointers: number;
  /** Pointers with the COPIED flag. */
  readonly copied: number;
}

/** What lies at host offsets, which may be anything. */
export interface Leads {
  /** Whether something that looks like a table begins there. */
  readonly isTable: (at: number) => boolean;
  /** Whether a cluster of zeros begins there. */
  readonly isZero: (at: number) => boolean;
}

/** The pointers of a cluster that is taken for an L1 table. */
interface Look {
  readonly pointers: number;
  readonly copied: number;
}

/**
 * Finds the L1 tables among clusters that look like tables: most of their entries lead to tables. Neighbouring clusters
 * are taken for one L1 table, of at most as many clusters as the disk needs.
 *
 * @param tables host offsets, ascending.
 * @param clustersOfOne how many clusters an L1 table of this image takes.
 */
export async function findL1s(
  tables: Float64Array,
  clustersOfOne: number,
  leads: Leads,
  { source, format }: TableGround,
): Promise<readonly L1Candidate[]> {
  const { clusterBytes } = format.geometry;
  const looks: { readonly at: number; readonly look: Look }[] = [];
  await walkTables(source, tables, clusterBytes, (index, words) => {
    const look = lookForTables(words, leads);
    if (look !== undefined) looks.push({ at: tables[index]!, look });
  });
  const found: L1Candidate[] = [];
  for (const { at, look } of looks) {
    const last = found.at(-1);
    const continues = last !== undefined && at === last.at + last.clusters * clusterBytes;
    if (continues && last.clusters < clustersOfOne) {
      found[found.length - 1] = {
        at: last.at,
        clusters: last.clusters + 1,
        pointers: last.pointers + look.pointers,
        copied: last.copied + look.copied,
      };
    } else found.push({ at, clusters: 1, ...look });
  }
  return found;
}

function lookForTables(words: Uint32Array, { isTable, isZero }: Leads): Look | undefined {
  let [pointers, copied, leads, zeros] = [0, 0, 0, 0];
  for (let i = 0; i < words.length; i += 2) {
    const high = words[i]!;
    if ((high | words[i + 1]!) === 0) continue;
    if ((high & COMPRESSED) !== 0) return undefined;
    const at = offsetOf(high, words[i + 1]!);
    pointers += 1;
    if ((high & COPIED) !== 0) copied += 1;
    if (isTable(at)) leads += 1;
    else if (isZero(at)) zeros += 1;
    // Guest data that follows each other is soon told from tables.
    if (pointers - zeros >= 64 && leads === 0) return undefined;
  }
  return leads > 0 && leads * 2 > pointers - zeros ? { pointers, copied } : undefined;
}
