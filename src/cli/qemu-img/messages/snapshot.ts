/** What is said of the snapshot that a word means. As in `messages.ts`: what qemu-img was seen to print. */
import type { Named, TwoMeanings } from '../../two-meanings.js';
import { Refusal } from '../refusal.js';

/** Why a snapshot can't be read. */
export const LOAD_REASONS = {
  notFound: "Can't find snapshot",
  raw: "Block format 'raw' used by device '' does not support temporarily loading internal snapshots",
} as const;

export function loadFailed(reason: string): Refusal {
  return new Refusal(`Failed to load snapshot: ${reason}`);
}

/** A name from the image makes no line of its own. */
const shown = (name: string): string => name.replaceAll('\n', '\\n');

/** A word as `snapshot.id=` and `snapshot.name=` take it. */
const asValue = (word: string): string => shown(word).replaceAll(',', ',,');

/** Ours: QEMU takes the one with the id. */
export function meansTwo({ byId, byName }: TwoMeanings<Named>): string {
  const word = byName.name;
  return (
    `'${shown(word)}' is the id of snapshot ${shown(byId.id)} ('${shown(byId.name)}') and the name of ` +
    `snapshot ${shown(byName.id)}: say snapshot.id=${asValue(word)} or snapshot.name=${asValue(word)}, ` +
    'or rename one with qsnap'
  );
}
