/** Which snapshot `-l` means. */
import type { Snapshot } from '../../../index.js';
import { cString } from './bytes.js';
import { CONVERT } from '../messages/convert.js';
import { OPTION_STRINGS } from '../messages.js';
import { IDENTIFIER, itemsOf } from './option-strings.js';
import { Refusal } from '../refusal.js';

/** By id and name, both of which have to fit if both are given; or by a word that is either. */
export type SnapshotChoice =
  | { readonly id: string | undefined; readonly name: string | undefined }
  | { readonly word: string };

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

/** Where QEMU keeps ids and names; the rest of longer ones is not compared. */
const ID_BYTES = 128;
const NAME_BYTES = 256;

/** The snapshot that is meant; undefined if there is none. Of equals the first in the table. */
export function chosenSnapshot(
  snapshots: readonly Snapshot[],
  choice: SnapshotChoice,
): Snapshot | undefined {
  const byId = (id: string) => (snapshot: Snapshot) => cString(snapshot.idBytes, ID_BYTES) === id;
  const byName = (name: string) => (snapshot: Snapshot) =>
    cString(snapshot.nameBytes, NAME_BYTES) === name;
  if ('word' in choice) {
    return snapshots.find(byId(choice.word)) ?? snapshots.find(byName(choice.word));
  }
  const { id, name } = choice;
  if (id === undefined && name === undefined) return undefined;
  return snapshots.find(
    (snapshot) =>
      (id === undefined || byId(id)(snapshot)) && (name === undefined || byName(name)(snapshot)),
  );
}
