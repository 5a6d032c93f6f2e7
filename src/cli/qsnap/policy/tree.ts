import { didYouMean } from './near-word.js';
import type { ProblemList } from './problem-list.js';

/** A value of a policy file. All that is no list and no map is text as it was written: `0.10` is not 0.1. */
export type Tree = TextTree | ListTree | MapTree | NothingTree;

export interface TextTree {
  readonly kind: 'text';
  /** Offset in the file, in UTF-16 units. */
  readonly at: number;
  readonly text: string;
}

export interface ListTree {
  readonly kind: 'list';
  readonly at: number;
  readonly items: readonly Tree[];
}

export interface MapTree {
  readonly kind: 'map';
  readonly at: number;
  /** No key is there twice. */
  readonly entries: readonly { readonly key: TextTree; readonly value: Tree }[];
}

interface NothingTree {
  readonly kind: 'nothing';
  readonly at: number;
}

const SHOWN_MAX = 60;

/** A text in quotes, cut where it is long. */
export function quoted(text: string): string {
  return text.length > SHOWN_MAX ? `"${text.slice(0, SHOWN_MAX)}…"` : `"${text}"`;
}

/** What was found where something else would have been right. */
export function foundText(tree: Tree): string {
  if (tree.kind === 'text') return quoted(tree.text);
  return tree.kind === 'nothing' ? 'nothing' : `a ${tree.kind}`;
}

/** The fields of a map by their names; notes those that there are not. */
export function fieldsOf(
  tree: MapTree,
  names: readonly string[],
  what: string,
  problems: ProblemList,
): ReadonlyMap<string, Tree> {
  const fields = new Map<string, Tree>();
  for (const { key, value } of tree.entries) {
    if (names.includes(key.text)) fields.set(key.text, value);
    else {
      const near = didYouMean(key.text, names);
      const known =
        near === ''
          ? `; there is ${names.filter((name) => !name.startsWith('$')).join(', ')}`
          : near;
      problems.add(key.at, `${what} has no key ${quoted(key.text)}${known}`);
    }
  }
  return fields;
}

/** The items of a list; undefined where it is none, which is noted. */
export function textsIn(
  tree: Tree,
  what: string,
  problems: ProblemList,
): readonly TextTree[] | undefined {
  if (tree.kind !== 'list') {
    problems.add(
      tree.at,
      `${what} is a list in brackets, such as [a, b]; found ${foundText(tree)}`,
    );
    return undefined;
  }
  if (tree.items.length === 0) {
    problems.add(tree.at, `${what} is an empty list; write at least one, or leave it out`);
    return undefined;
  }
  const texts = tree.items.filter((item) => item.kind === 'text');
  for (const item of tree.items) {
    if (item.kind !== 'text')
      problems.add(item.at, `${what} is a list of texts; found ${foundText(item)}`);
  }
  return texts.length === tree.items.length ? texts : undefined;
}
