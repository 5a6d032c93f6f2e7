import { printable, sameBytes, utf8Bytes } from '../base/text.js';
import { QsnapError } from '../errors.js';
import type { Snapshot } from '../qcow2/snapshot-table.js';

/**
 * The one snapshot that a selector means: `id:3`, `name:before upgrade`, or a bare word that is
 * the id or the name of exactly one snapshot. Ids and names are compared as bytes.
 *
 * @throws QsnapError SNAPSHOT_NOT_FOUND, or SNAPSHOT_AMBIGUOUS with the candidates.
 * Ours: QEMU's own rules differ from command to command, and take the first of several.
 */
export function findSnapshot(snapshots: readonly Snapshot[], selector: string): Snapshot {
  const found = snapshots.filter(matcher(selector));
  const [first] = found;
  if (first !== undefined && found.length === 1) return first;
  const shown = printable(utf8Bytes(selector));
  if (first === undefined) {
    throw new QsnapError('SNAPSHOT_NOT_FOUND', `no snapshot has the id or name "${shown}"`, {
      actual: selector,
      candidates: snapshots.map(describeSnapshot),
      hint: snapshots.length === 0 ? 'the image has no snapshots' : '`qsnap list` shows them all',
    });
  }
  throw new QsnapError('SNAPSHOT_AMBIGUOUS', `"${shown}" means ${found.length} snapshots`, {
    actual: selector,
    candidates: found.map(describeSnapshot),
    hint: 'say which one: id:ID or name:NAME',
  });
}

function matcher(selector: string): (snapshot: Snapshot) => boolean {
  const byId = (text: string) => (snapshot: Snapshot) => {
    return sameBytes(snapshot.idBytes, utf8Bytes(text));
  };
  const byName = (text: string) => (snapshot: Snapshot) => {
    return sameBytes(snapshot.nameBytes, utf8Bytes(text));
  };
  if (selector.startsWith('id:')) return byId(selector.slice(3));
  if (selector.startsWith('name:')) return byName(selector.slice(5));
  const [id, name] = [byId(selector), byName(selector)];
  return (snapshot) => id(snapshot) || name(snapshot);
}

/** A snapshot as messages name it: id and name, printable. */
export function describeSnapshot(snapshot: Pick<Snapshot, 'idBytes' | 'nameBytes'>): string {
  return `${printable(snapshot.idBytes)} "${printable(snapshot.nameBytes)}"`;
}
