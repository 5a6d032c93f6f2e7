import {
  Composer,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  Parser,
  type CST,
  type Document,
  type Node,
  type YAMLError,
  type YAMLMap,
} from 'yaml';
import type { ProblemList } from './problem-list.js';
import { foundText, quoted, type Tree } from './tree.js';

/** Of the parser's stack; a policy takes eight or so. The package would go on until Node has no stack, and may end it. */
const DEPTH_MAX = 32;

/** Directives, and tokens that are where none can be: more than the list of mistakes takes. */
const ODD_TOKENS_MAX = 1001;

/** The package has a limit of its own, but only for values that it makes itself. */
const ALIASES_MAX = 100;

const MESSAGE_MAX = 160;

/** What is wrong in these cases leaves the rest of the file as it is meant. */
const HARMLESS = new Set(['TAG_RESOLVE_FAILED', 'BAD_DIRECTIVE']);

/** In words of policies where the package's own do not help. */
const SYNTAX: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: 'a tab indents nothing in YAML; write spaces',
  BAD_ALIAS: 'a text that begins with * is written in quotes',
  BAD_SCALAR_START: 'no text begins with this character, unless it is written in quotes',
  BAD_DIRECTIVE: 'a policy has no directives; take this line out',
  TAG_RESOLVE_FAILED: 'a policy has no tags; take the one that begins with "!" away',
};

/**
 * Parses YAML as far as it goes, and notes what is wrong.
 *
 * @returns undefined where the text is so wrong that nothing more can be said of it.
 */
export function readTree(text: string, problems: ProblemList): Tree | undefined {
  const document = documentOf(text, problems);
  if (document === undefined) return undefined;
  const wrong: readonly YAMLError[] = [...document.errors, ...document.warnings];
  for (const { code, pos, message } of wrong) {
    problems.addLast(
      pos[0],
      SYNTAX[code] ?? `this is neither YAML nor JSON: ${inSentence(message)}`,
    );
  }
  if (wrong.some(({ code }) => !HARMLESS.has(code))) return undefined;
  return new TreeMaker(problems).treeOf(document.contents, 0);
}

/** The first document; undefined where it lies too deep, which is noted. */
function documentOf(text: string, problems: ProblemList): Document.Parsed | undefined {
  // Every scalar a text: what a number is, each option says. Keys are compared here, since the package compares
  // each with each.
  const composer = new Composer({
    schema: 'failsafe',
    resolveKnownTags: false,
    uniqueKeys: false,
    prettyErrors: false,
  });
  const seen = { isTooDeep: false };
  const tokens = tokensOf(text, (at) => {
    seen.isTooDeep = true;
    problems.add(at, 'this lies deeper than anything in a policy');
  });
  const documents = composer.compose(tokens, true, text.length);
  const first = documents.next().value;
  const second = seen.isTooDeep ? undefined : documents.next().value;
  if (second) {
    problems.add(second.range[0], 'a second document begins here; a policy is one document');
  }
  return seen.isTooDeep || !first ? undefined : first;
}

/** The tokens of a text, as far as it is like a policy. */
function* tokensOf(text: string, tooDeep: (at: number) => void): Generator<CST.Token, void> {
  const parser = new Parser();
  let odd = 0;
  for (const lexeme of new Lexer().lex(text)) {
    const at = parser.offset;
    for (const token of parser.next(lexeme)) {
      if (token.type === 'error' || token.type === 'directive') odd += 1;
      yield token;
    }
    if (parser.stack.length > DEPTH_MAX) {
      tooDeep(at);
      return;
    }
    if (odd > ODD_TOKENS_MAX) return;
  }
  yield* parser.end();
}

/** The package says what it found, however long that is. */
function inSentence(message: string): string {
  const sentence = message.charAt(0).toLowerCase() + message.slice(1, MESSAGE_MAX);
  return message.length > MESSAGE_MAX ? `${sentence}…` : sentence;
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
  treeOf(node: unknown, at: number): Tree {
    const from = (node as Node | null)?.range?.[0] ?? at;
    if (isAlias(node)) return this.#aliased(node.source, from);
    if (isScalar(node)) return this.#anchored(node.anchor, scalarTree(node, from));
    if (isSeq(node)) {
      const items: Tree[] = [];
      const list = this.#anchored(node.anchor, { kind: 'list', at: from, items });
      for (const item of node.items) items.push(this.treeOf(item, from));
      return list;
    }
    if (isMap(node)) return this.#mapOf(node, from);
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

  #mapOf(node: YAMLMap, at: number): Tree {
    const entries: { key: Tree & { kind: 'text' }; value: Tree }[] = [];
    const map = this.#anchored(node.anchor, { kind: 'map', at, entries });
    const lines = new Map<string, number>();
    for (const pair of node.items) {
      const key = this.treeOf(pair.key, at);
      const value = this.treeOf(pair.value, key.at);
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
