import { findSnapshot, isQsnapError, type Image, type Snapshot } from '../../index.js';
import { printable } from '../../internal.js';
import { shellWord } from '../resume-command.js';
import { localTimeText } from '../text.js';
import { isUtf8 } from './present/bytes.js';

/** More candidates than this are counted instead of listed. */
const CANDIDATES_SHOWN_MAX = 10;

/**
 * The one snapshot that a selector means.
 *
 * @throws QsnapError SNAPSHOT_NOT_FOUND or SNAPSHOT_AMBIGUOUS; its candidates are selectors to type.
 *   Where an entry is lost that is asked for by its position, why it is.
 */
export function selectSnapshot(
  { snapshots, unread }: Pick<Image, 'snapshots' | 'unread'>,
  selector: string,
): Snapshot {
  try {
    return findSnapshot(snapshots, selector);
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    const lost = unread?.find(({ structure }) => structure === 'snapshot table');
    if (lost !== undefined && error.code === 'SNAPSHOT_NOT_FOUND') {
      if (positionOf(selector) !== undefined) throw lost.reason;
      throw error.with({ candidates: listed(snapshots, snapshots), hint: lost.reason.message });
    }
    const plain = selector.replace(/^(?:id|name):/, '');
    const position = positionOf(selector);
    const meant = snapshots.filter(
      ({ id, name, index }) => id === plain || name === plain || index === position,
    );
    throw error.with({ candidates: listed(meant.length > 0 ? meant : snapshots, snapshots) });
  }
}

/** The position that `#2` means; undefined for any other selector. */
function positionOf(selector: string): number | undefined {
  return /^#\d+$/.test(selector) ? Number(selector.slice(1)) : undefined;
}

/** What to type for each, its date, its id where the selector is another, and its name. */
function listed(candidates: readonly Snapshot[], all: readonly Snapshot[]): readonly string[] {
  const shown = candidates.slice(0, CANDIDATES_SHOWN_MAX).map((snapshot) => {
    const selector = selectorOf(snapshot, all);
    const { idBytes, nameBytes, date } = snapshot;
    const id = /^'?id:/.test(selector) ? [] : [`id ${printable(idBytes)}`];
    return [selector, localTimeText(date.seconds), ...id, printable(nameBytes)].join('  ');
  });
  const more = candidates.length - shown.length;
  return more === 0 ? shown : [...shown, `and ${more} more`];
}

/** What to type to mean this snapshot and no other. */
function selectorOf(snapshot: Snapshot, snapshots: readonly Snapshot[]): string {
  const sameId = snapshots.filter(({ id }) => id === snapshot.id);
  if (sameId.length === 1 && isTypable(snapshot.idBytes)) return shellWord(`id:${snapshot.id}`);
  const sameName = snapshots.filter(({ name }) => name === snapshot.name);
  if (sameName.length === 1 && isTypable(snapshot.nameBytes)) {
    return shellWord(`name:${snapshot.name}`);
  }
  return shellWord(`#${snapshot.index}`);
}

/** Whether a person can type it: what is shown is then what is stored. */
function isTypable(bytes: Uint8Array): boolean {
  return isUtf8(bytes) && new TextDecoder().decode(bytes) === printable(bytes);
}
