import type { Finding } from '../../index.js';

/** Phrases in the engine's advice, and the commands and options that they mean here. The first ones go first. */
export const PHRASES: readonly (readonly [ofEngine: string, here: string])[] = [
  ['a rescue makes a copy', '`qsnap rescue --disk-size` makes a copy'],
  ['a rescue', '`qsnap rescue`'],
  ['a repair of class perhaps-lost', '`qsnap repair IMAGE perhaps-lost`'],
  ['a repair that drops bitmaps', 'a repair with --drop-bitmaps'],
  ['a repair that drops unread snapshots', 'a repair with --drop-unread-snapshots'],
  ['a repair that empties the active L1', 'a repair with --empty-l1 active'],
  [
    'a repair of this code by name clears the bit',
    '`qsnap repair IMAGE ZERO_FLAG_MEANINGLESS` clears the bit',
  ],
  ['what the image lists may tell more', 'qsnap info and list may tell more'],
  ['give it another name', 'qsnap rename gives it another name'],
  ['stripping the image', '`qsnap strip`'],
];

/** What to do about a finding, as this program says it. */
export function adviceOf({ advice }: Pick<Finding, 'advice'>): string {
  return PHRASES.reduce((text, [ofEngine, here]) => text.replaceAll(ofEngine, here), advice);
}
