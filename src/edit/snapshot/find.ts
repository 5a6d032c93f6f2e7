import { hinted } from '../../base/hints.js';
import { printable, sameBytes, utf8Bytes } from '../../base/text.js';
import { QsnapError } from '../../errors.js';
import { describeSnapshot } from '../../qcow2/describe-snapshot.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';

/**
 * Finds the one snapshot that a selector means:
 *
 * - `id:3` and `name:before upgrade`: the snapshot with that id or name;
 * - `#2`: also the one at that position of the snapshot table, from `#0`;
 * - any other word: the one with that id or name.
 *
 * Ids and names are compared as bytes.
 *
 * ```ts
 * const { index, name } = findSnapshot(image.snapshots, 'id:3');
 * ```
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
    const isPosition = positionOf(selector) !== undefined;
    const what = isPosition ? 'position, id or name' : 'id or name';
    throw new QsnapError('SNAPSHOT_NOT_FOUND', `no snapshot has the ${what} "${shown}"`, {
      actual: selector,
      candidates: snapshots.map(candidate),
      ...(snapshots.length === 0
        ? { hint: 'the image has no snapshots' }
        : hinted('list-snapshots')),
    });
  }
  throw new QsnapError('SNAPSHOT_AMBIGUOUS', `"${shown}" means ${found.length} snapshots`, {
    actual: selector,
    candidates: found.map(candidate),
    hint: 'say which one: id:ID, name:NAME, or #POSITION in the snapshot table, from #0',
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
  const position = positionOf(selector);
  return (snapshot) => id(snapshot) || name(snapshot) || snapshot.index === position;
}

/** The position that `#2` means; undefined for any other selector. */
function positionOf(selector: string): number | undefined {
  return /^#\d{1,9}$/.test(selector) ? Number(selector.slice(1)) : undefined;
}

/** A snapshot as one of several that are meant: position, id, name, and the date in UTC. */
function candidate(snapshot: Snapshot): string {
  const date = new Date(snapshot.date.seconds * 1000).toISOString().slice(0, 19);
  return `#${snapshot.index} ${describeSnapshot(snapshot)} ${date}Z`;
}
