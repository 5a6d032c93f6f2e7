/** Which snapshot a word means: that of `-l`, or of `-a`. */
import type { Snapshot } from '../../../index.js';
import { newTwoMeanings, twoMeanings, type Named } from '../../two-meanings.js';
import { byteStringOfText, cString } from './bytes.js';
import { CONVERT } from '../messages/convert.js';
import { OPTION_STRINGS } from '../messages.js';
import { meansTwo } from '../messages/snapshot.js';
import { IDENTIFIER, itemsOf } from './option-strings.js';
import { Refusal } from '../refusal.js';

/** By id and name, both of which have to fit if both are given; or by a word that is either. */
export type SnapshotChoice = Keys | { readonly word: string };

interface Keys {
  readonly id: string | undefined;
  readonly name: string | undefined;
}

/** How an option string that tells id and name apart begins. */
export const SNAPSHOT_KEYS = 'snapshot.';

/** Parses `snapshot.id=…,snapshot.name=…`; an `id` of the list itself is judged first. */
export function parseSnapshotKeys(
  text: string,
  ids: Set<string>,
  warn: (text: string) => void,
): SnapshotChoice {
  const fail = (reason: string): never => {
    throw new Refusal(CONVERT.snapshotParameter(text), [{ named: reason }]);
  };
  const items = itemsOf(text);
  const listId = items.find(([key]) => key === 'id')?.[1];
  if (listId !== undefined) {
    if (!IDENTIFIER.test(listId)) fail(OPTION_STRINGS.idInvalid);
    if (ids.has(listId)) fail(CONVERT.snapshotIdTwice(listId));
    ids.add(listId);
  }
  const values = new Map<string, string>();
  for (const [typed, given] of items) {
    const isOff = given === undefined && typed.startsWith('no');
    const key = isOff ? typed.slice(2) : typed;
    const value = given ?? (isOff ? 'off' : 'on');
    if (given === undefined) warn(CONVERT.shortForm(typed, `${key}=${value}`));
    const isKnown = key === 'snapshot.id' || key === 'snapshot.name';
    if (isKnown) values.set(key, value);
    else if (key !== 'id') fail(CONVERT.snapshotKey(key));
  }
  return { id: values.get('snapshot.id'), name: values.get('snapshot.name') };
}

/** The keys as a name: no QEMU takes them at `-a`, so that whatever is not just that is a name. */
function keysOf(word: string): Keys | undefined {
  const values = new Map(itemsOf(word));
  const isKeys = [...values].every(
    ([key, value]) => (key === 'snapshot.id' || key === 'snapshot.name') && value !== undefined,
  );
  if (!isKeys) return undefined;
  return { id: values.get('snapshot.id'), name: values.get('snapshot.name') };
}

/** Where QEMU keeps ids and names; the rest of longer ones is not compared. */
const ARRAYS = { idBytes: 128, nameBytes: 256 } as const;

interface NamedSnapshot extends Named {
  readonly snapshot: Snapshot;
}

function named(snapshots: readonly Snapshot[], arrays?: typeof ARRAYS): readonly NamedSnapshot[] {
  return snapshots.map((snapshot) => ({
    snapshot,
    id: cString(snapshot.idBytes, arrays?.idBytes),
    name: cString(snapshot.nameBytes, arrays?.nameBytes),
  }));
}

/** How it is refused that a word means two snapshots. */
type Refuse = (reason: string) => Refusal;

/** By id, else by name. @throws Refusal where these are two snapshots: QEMU takes the one with the id. */
function byWord(all: readonly NamedSnapshot[], word: string, refuse: Refuse): Snapshot | undefined {
  const two = twoMeanings(all, word);
  if (two !== undefined) throw refuse(meansTwo(two));
  return all.find(({ id, name }) => id === word || name === word)?.snapshot;
}

function byKeys(all: readonly NamedSnapshot[], { id, name }: Keys): Snapshot | undefined {
  if (id === undefined && name === undefined) return undefined;
  return all.find(
    (one) => (id === undefined || one.id === id) && (name === undefined || one.name === name),
  )?.snapshot;
}

/** The snapshot that `-l` means; undefined if there is none. Of equals the first in the table. */
export function chosenSnapshot(
  snapshots: readonly Snapshot[],
  choice: SnapshotChoice,
  refuse: Refuse,
): Snapshot | undefined {
  const all = named(snapshots, ARRAYS);
  return 'word' in choice ? byWord(all, choice.word, refuse) : byKeys(all, choice);
}

/** The snapshot that `-a` means; undefined if there is none. Of equals the first in the table. */
export function appliedSnapshot(
  snapshots: readonly Snapshot[],
  word: string,
  refuse: Refuse,
): Snapshot | undefined {
  const all = named(snapshots);
  const found = byWord(all, word, refuse);
  const keys = found === undefined ? keysOf(word) : undefined;
  return keys === undefined ? found : byKeys(all, keys);
}

/** What is to be said of the names of a new snapshot. */
export function newlyMeantTwice(snapshots: readonly Snapshot[], fresh: Named): readonly string[] {
  const names = { id: byteStringOfText(fresh.id), name: byteStringOfText(fresh.name) };
  return newTwoMeanings<Named>(named(snapshots), names).map(meansTwo);
}
