import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  parseDocument,
  type LineCounter,
  type Node,
  type YAMLError,
  type YAMLMap,
} from 'yaml';
import { oneSafeLine } from '../../text.js';
import type { ProblemList } from './problem-list.js';
import { foundText, quoted, type Tree } from './tree.js';

/** A policy has four levels. */
const DEPTH_MAX = 16;

/** The package has a limit of its own, but only for values that it makes itself. */
const ALIASES_MAX = 100;

const MESSAGE_MAX = 160;

/** What is wrong in these cases leaves the rest of the file as it is meant. */
const HARMLESS = new Set(['TAG_RESOLVE_FAILED', 'BAD_DIRECTIVE', 'MULTIPLE_DOCS']);

/** In words of policies where the package's own do not help. */
const SYNTAX: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: 'a tab indents nothing in YAML; write spaces',
  BAD_ALIAS: 'a text that begins with * is written in quotes',
  BAD_SCALAR_START: 'no text begins with this character, unless it is written in quotes',
  MULTIPLE_DOCS: 'a second document begins here; a policy is one document',
  RESOURCE_EXHAUSTION: 'this lies deeper than anything in a policy',
  BAD_DIRECTIVE: 'a policy has no directives; take this line out',
  TAG_RESOLVE_FAILED: 'a policy has no tags; take the one that begins with "!" away',
};

/**
 * Parses YAML as far as it goes, and notes what is wrong.
 *
 * @returns undefined where the text is so wrong that nothing more can be said of it.
 */
export function readTree(
  text: string,
  lineCounter: LineCounter,
  problems: ProblemList,
): Tree | undefined {
  // Every scalar a text: what a number is, each option says. Keys are compared here, since the package compares
  // each with each.
  const document = parseDocument(text, {
    schema: 'failsafe',
    resolveKnownTags: false,
    uniqueKeys: false,
    prettyErrors: false,
    lineCounter,
  });
  const wrong: readonly YAMLError[] = [...document.errors, ...document.warnings];
  // The parser gives up one level after the other: the first place says it all.
  const tooDeep = wrong.find(({ code }) => code === 'RESOURCE_EXHAUSTION');
  for (const { code, pos, message } of tooDeep === undefined ? wrong : [tooDeep]) {
    problems.addLast(pos[0], SYNTAX[code] ?? `this is no YAML: ${inSentence(message)}`);
  }
  if (wrong.some(({ code }) => !HARMLESS.has(code))) return undefined;
  return new TreeMaker(problems).treeOf(document.contents, 0);
}

/** The package says what it found, however long that is. */
function inSentence(message: string): string {
  const sentence = message.charAt(0).toLowerCase() + message.slice(1, MESSAGE_MAX);
  return oneSafeLine(message.length > MESSAGE_MAX ? `${sentence}…` : sentence);
}

/** Makes plain values of nodes. An alias becomes the value that it stands for, not a copy. */
class TreeMaker {
  readonly #problems: ProblemList;
  readonly #anchors = new Map<string, Tree>();
  #aliases = 0;

  constructor(problems: ProblemList) {
    this.#problems = problems;
  }

  /** @param at where it is said to lie if it is nothing. */
  treeOf(node: unknown, at: number, depth = 0): Tree {
    const from = (node as Node | null)?.range?.[0] ?? at;
    if (depth > DEPTH_MAX) {
      this.#problems.addLast(from, SYNTAX['RESOURCE_EXHAUSTION']!);
      return { kind: 'nothing', at: from };
    }
    if (isAlias(node)) return this.#aliased(node.source, from);
    if (isScalar(node)) return this.#anchored(node.anchor, scalarTree(node, from));
    if (isSeq(node)) {
      const items: Tree[] = [];
      const list = this.#anchored(node.anchor, { kind: 'list', at: from, items });
      for (const item of node.items) items.push(this.treeOf(item, from, depth + 1));
      return list;
    }
    if (isMap(node)) return this.#mapOf(node, from, depth);
    return { kind: 'nothing', at: from };
  }

  #anchored<T extends Tree>(anchor: string | undefined, tree: T): T {
    if (anchor !== undefined) this.#anchors.set(anchor, tree);
    return tree;
  }

  #aliased(name: string, at: number): Tree {
    this.#aliases += 1;
    if (this.#aliases === ALIASES_MAX + 1) {
      this.#problems.addLast(
        at,
        `this is alias ${this.#aliases}, and a policy may have ${ALIASES_MAX}`,
      );
    }
    const tree = this.#anchors.get(name);
    if (tree !== undefined && this.#aliases <= ALIASES_MAX) return tree;
    if (tree === undefined) {
      this.#problems.addLast(
        at,
        `${quoted(`*${name}`)} stands for nothing before it; a text that begins with * is written in quotes`,
      );
    }
    return { kind: 'nothing', at };
  }

  #mapOf(node: YAMLMap, at: number, depth: number): Tree {
    const entries: { key: Tree & { kind: 'text' }; value: Tree }[] = [];
    const map = this.#anchored(node.anchor, { kind: 'map', at, entries });
    const lines = new Map<string, number>();
    for (const pair of node.items) {
      const key = this.treeOf(pair.key, at, depth + 1);
      const value = this.treeOf(pair.value, key.at, depth + 1);
      if (key.kind !== 'text') {
        this.#problems.add(key.at, `a key is a text; found ${foundText(key)}`);
        continue;
      }
      const line = lines.get(key.text);
      if (line === undefined) {
        lines.set(key.text, this.#problems.lineOf(key.at));
        entries.push({ key, value });
      } else {
        this.#problems.add(key.at, `the key ${quoted(key.text)} is in line ${line} already`);
      }
    }
    return map;
  }
}

const NOTHING = new Set(['', '~', 'null']);

function scalarTree({ value, type }: { value: unknown; type?: string }, at: number): Tree {
  const text = String(value);
  if (type === 'PLAIN' && NOTHING.has(text)) return { kind: 'nothing', at };
  return { kind: 'text', at, text };
}
