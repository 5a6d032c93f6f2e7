import type { Snapshot } from '../../../index.js';
import { printable } from '../../../internal.js';

/** What a disk is called in a drawing: id and name of its snapshot. */
export function diskName(snapshot: Snapshot | undefined): string {
  if (snapshot === undefined) return 'active disk';
  return `${printable(snapshot.idBytes)} ${printable(snapshot.nameBytes)}`;
}

/** A name for a drawing that has no room for longer ones. */
export function shortened(name: string, charactersMax: number): string {
  const characters = Array.from(name);
  if (characters.length <= charactersMax) return name;
  return `${characters.slice(0, charactersMax - 1).join('')}…`;
}
