import { printable } from '../base/text.js';
import type { Snapshot } from './snapshot-table.js';

/** A snapshot as messages name it: id and name, printable. */
export function describeSnapshot(snapshot: Pick<Snapshot, 'idBytes' | 'nameBytes'>): string {
  return `${printable(snapshot.idBytes)} "${printable(snapshot.nameBytes)}"`;
}
