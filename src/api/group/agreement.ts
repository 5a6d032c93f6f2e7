import type { GroupRequest, SnapshotMark } from './request.js';
import { selectorsOf } from './request.js';

/** What is wrong with the snapshots that a record names for its images. */
export interface Disagreement {
  readonly image: number;
  readonly actual: string;
  readonly expected: string;
}

/**
 * Looks whether the snapshots that a record names are those that the words of its request mean: each is meant by a word,
 * each word means one, and all images have the same names. Then nobody can make a record that says one thing and does
 * another.
 *
 * @param chosen for each image the snapshots that the edit is about.
 * @returns the first image that is not so; undefined where all agree.
 */
export function disagreement(
  request: GroupRequest,
  chosen: readonly (readonly SnapshotMark[])[],
): Disagreement | undefined {
  const words = selectorsOf(request);
  const first = namesOf(chosen[0] ?? []);
  for (const [image, marks] of chosen.entries()) {
    const stray = marks.find((mark) => !words.some((word) => means(word, mark)));
    if (stray !== undefined) return { image, actual: stray.name, expected: words.join(', ') };
    const unmet = words.find((word) => !marks.some((mark) => means(word, mark)));
    if (unmet !== undefined) return { image, actual: 'missing', expected: unmet };
    const most = request.operation === 'apply' ? 1 : words.length;
    if (marks.length > most) return { image, actual: `${marks.length}`, expected: `${most}` };
    const names = namesOf(marks);
    if (names !== first) return { image, actual: names, expected: first };
  }
  return undefined;
}

/** A position means what lay there then, which a record can't tell. */
function means(word: string, { id, name }: SnapshotMark): boolean {
  if (word.startsWith('id:')) return id === word.slice(3);
  if (word.startsWith('name:')) return name === word.slice(5);
  return name === word || /^#\d{1,9}$/.test(word);
}

function namesOf(marks: readonly SnapshotMark[]): string {
  return JSON.stringify([...new Set(marks.map(({ name }) => name))].toSorted());
}
