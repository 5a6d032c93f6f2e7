/** One word may be the id of a snapshot and the name of another: programs differ in which of them they take. */
export interface Named {
  readonly id: string;
  readonly name: string;
}

export interface TwoMeanings<One extends Named> {
  readonly byId: One;
  readonly byName: One;
}

/** The two snapshots that a word means; undefined where it means one or none. Of equals the first counts. */
export function twoMeanings<One extends Named>(
  snapshots: readonly One[],
  word: string,
): TwoMeanings<One> | undefined {
  const byId = snapshots.find(({ id }) => id === word);
  const byName = snapshots.find(({ name }) => name === word);
  if (byId === undefined || byName === undefined || byId === byName) return undefined;
  return { byId, byName };
}

/** What the names of a new snapshot make ambiguous. */
export function newTwoMeanings<One extends Named>(
  others: readonly One[],
  fresh: One,
  words: readonly string[] = [fresh.id, fresh.name],
): readonly TwoMeanings<One>[] {
  const all = [...others, fresh];
  return [...new Set(words)].flatMap((word) => twoMeanings(all, word) ?? []);
}
