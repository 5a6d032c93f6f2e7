import type { Snapshot } from '../../index.js';

/** What names of exports are made of, unless `--name-template` says otherwise. */
export const NAME_TEMPLATE = '{image}.{disk}.raw';

/** What stands for the active disk. */
const ACTIVE = 'active';

/**
 * The word for a disk in names: `active`, or the id of the snapshot. Where the id is no part of a file name, or is not
 * alone, it is `#` with the position in the table, which selects the snapshot as well.
 */
export function diskWord(snapshot: Snapshot | undefined, all: readonly Snapshot[]): string {
  if (snapshot === undefined) return ACTIVE;
  const { id, index } = snapshot;
  const isPlain = /^[\w+=@.-]+$/.test(id) && id !== ACTIVE && !/^\.+$/.test(id);
  const isAlone = all.every((other) => other.index === index || other.id !== id);
  return isPlain && isAlone ? id : `#${index}`;
}

/** The name that the export of a disk has. */
export function exportName(template: string, image: string, word: string): string {
  return template.replaceAll(/\{(image|disk)\}/g, (_, part) => (part === 'image' ? image : word));
}

/** What the VM state of a snapshot is called. */
export function vmStateName(image: string, word: string): string {
  return `${image}.${word}.vmstate`;
}
