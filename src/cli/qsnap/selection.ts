import { findSnapshot, isQsnapError, printable, type Image, type Snapshot } from '../../index.js';
import { isUtf8 } from './present/bytes.js';

/** More candidates than this are counted instead of listed. */
const CANDIDATES_SHOWN_MAX = 10;

/**
 * The one snapshot that a selector means.
 *
 * @throws QsnapError SNAPSHOT_NOT_FOUND or SNAPSHOT_AMBIGUOUS; its candidates are selectors to type.
 */
export function selectSnapshot({ snapshots }: Image, selector: string): Snapshot {
  try {
    return findSnapshot(snapshots, selector);
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    const plain = selector.replace(/^(?:id|name):/, '');
    const meant = snapshots.filter(({ id, name }) => id === plain || name === plain);
    const candidates = meant.length > 0 ? meant : snapshots;
    const shown = candidates.slice(0, CANDIDATES_SHOWN_MAX).map((snapshot) => {
      return `${selectorOf(snapshot, snapshots)}  ${printable(snapshot.nameBytes)}`;
    });
    const more = candidates.length - shown.length;
    throw error.with({ candidates: more === 0 ? shown : [...shown, `and ${more} more`] });
  }
}

/** What to type to mean this snapshot and no other. */
function selectorOf(snapshot: Snapshot, snapshots: readonly Snapshot[]): string {
  const sameId = snapshots.filter(({ id }) => id === snapshot.id);
  if (sameId.length === 1 && isTypable(snapshot.idBytes)) return quoted(`id:${snapshot.id}`);
  const sameName = snapshots.filter(({ name }) => name === snapshot.name);
  if (sameName.length === 1 && isTypable(snapshot.nameBytes)) {
    return quoted(`name:${snapshot.name}`);
  }
  return '(no selector means this one alone)';
}

/** Whether a person can type it: what is shown is then what is stored. */
function isTypable(bytes: Uint8Array): boolean {
  return isUtf8(bytes) && new TextDecoder().decode(bytes) === printable(bytes);
}

/** As a shell takes it. */
function quoted(text: string): string {
  return /^[\w:.,+@%/-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
