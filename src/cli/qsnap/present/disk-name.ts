import type { Snapshot } from '../../../index.js';
import { printable } from '../../../internal.js';

/** What a disk is called in a drawing: id and name of its snapshot. */
export function diskName(snapshot: Snapshot | undefined): string {
  if (snapshot === undefined) return 'active disk';
  return `${printable(snapshot.idBytes)} ${printable(snapshot.nameBytes)}`;
}
