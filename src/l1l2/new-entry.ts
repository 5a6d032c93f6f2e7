import { HIGH_WORD } from '../base/words.js';
import type { Geometry } from '../qcow2/geometry.js';
import { OFFSET_LOW, ZERO_FLAG } from './entry.js';

/** All 32 subclusters of an extended L2 entry. */
export const ALL_SUBCLUSTERS = 0xffff_ffff;

/** How a guest cluster is kept: `reserved-zero` has a host cluster and reads as zeros. */
export type NewEntryKind = 'zero' | 'data' | 'reserved-zero';

/** Gives an L2 entry in host-order words its host cluster. Bits that tell of subclusters stay. */
export function setPlace(
  words: Uint32Array,
  index: number,
  at: number,
  { l2EntryBytes }: Pick<Geometry, 'l2EntryBytes'>,
): void {
  const first = index * (l2EntryBytes / 4);
  words[first] = Math.floor(at / HIGH_WORD);
  words[first + 1] = at & OFFSET_LOW;
}

/**
 * Sets an L2 entry, in host-order words. The COPIED flag is left to the caller, who knows the refcounts.
 *
 * @param at host offset of the cluster; 0 for `zero`.
 * Spec: L2 table entry, Extended L2 Entries.
 */
export function setNewEntry(
  words: Uint32Array,
  index: number,
  kind: NewEntryKind,
  at: number,
  { l2EntryBytes }: Geometry,
): void {
  const stride = l2EntryBytes / 4;
  const first = index * stride;
  setPlace(words, index, at, { l2EntryBytes });
  if (stride === 2) {
    if (kind !== 'data') words[first + 1]! |= ZERO_FLAG;
    return;
  }
  words[first + 2] = kind === 'data' ? 0 : ALL_SUBCLUSTERS;
  words[first + 3] = kind === 'data' ? ALL_SUBCLUSTERS : 0;
}
