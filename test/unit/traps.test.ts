import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { filesBelow, patternsOf, textOf } from './source-tree.js';

/** docs/traps.md and the titles of tests: every code in a title is explained, and every trap is held. */
const PAGE = 'docs/traps.md';
const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** L1 and L2 are tables. */
const CODE = String.raw`[A-KM-Z]\d{1,2}`;
const WORD = String.raw`(?:${CODE}(?:-${CODE})?|CVE-\d{4}-\d+)`;
/** Codes at the beginning of a title, or of what a comment says of a test. */
const MARKS = new RegExp(String.raw`(?:['"\`]|\* |// )(${WORD}(?:, ${WORD})*): `, 'g');

/** Codes that a mark names; `A6-A8` names three. */
function codesOf(mark: string): string[] {
  return mark.split(', ').flatMap((word) => {
    const range = /^([A-Z])(\d+)-[A-Z](\d+)$/.exec(word);
    if (range === null) return [word];
    const [from, to] = [Number(range[2]), Number(range[3])];
    return Array.from({ length: to - from + 1 }, (_, i) => `${range[1]}${from + i}`);
  });
}

/** The files of the tests by code. */
function filesByCode(): Map<string, Set<string>> {
  const files = new Map<string, Set<string>>();
  for (const path of filesBelow('test')) {
    for (const [, mark] of textOf(path).matchAll(MARKS)) {
      for (const code of codesOf(mark!)) {
        files.set(code, (files.get(code) ?? new Set()).add(path));
      }
    }
  }
  return files;
}

const page = textOf(PAGE);
const held = filesByCode();
const sections = page.split(/^### /m).slice(1);
const explained = sections.map((section) => section.slice(0, section.indexOf(':')));

test('every code in a title is explained', () => {
  const known = new Set([...explained, ...(page.match(/CVE-\d{4}-\d+/g) ?? [])]);
  expect([...held.keys()].filter((code) => !known.has(code))).toEqual([]);
  expect(new Set(explained).size, 'no code has two meanings').toBe(explained.length);
});

test('codes stand at the beginning of a title, and nowhere else', () => {
  const families = [...new Set(explained.map((code) => code[0]))].join('');
  const code = new RegExp(String.raw`(?<![\w-])[${families}]\d{1,2}(?![\w-])`);
  const strays = filesBelow('test').flatMap((path) =>
    (code.test(textOf(path)) ? patternsOf(path) : [])
      .map((parts) => parts.map((part) => part ?? '…').join(''))
      .filter((text) => code.test(text.replace(new RegExp(`^${WORD}(, ${WORD})*: `), '')))
      .map((text) => `${path}: ${text}`),
  );
  expect(strays).toEqual([]);
});

describe.each(sections.map((section) => [section.split('\n')[0]!, section]))('%s', (_, section) => {
  test('what happens, its source and its tests', () => {
    expect(section).toMatch(/^[A-Z]\d+: [A-Z0-9].*[^.]\n\n(.+\n)+\n- Source: .+\n- Tests: .+\n/);
  });

  test('names no file that is gone', () => {
    const named = [...section.matchAll(/`(test\/[^`]+)`/g)].map(([, path]) => path!);
    expect(named.filter((path) => !existsSync(ROOT + path))).toEqual([]);
  });
});

test('each is held by the tests that the page names, or says why by none', async () => {
  const rendered = page.replaceAll(
    /^### (\w+): [^]*?\n- Tests: (.+)$/gm,
    (section, code: string, said: string) => {
      const files = [...(held.get(code) ?? [])].map((path) => `\`${path}\``).join(', ');
      const told = files === '' && said.startsWith('none: ') ? said : files;
      return section.slice(0, -said.length) + (told === '' ? 'none' : told);
    },
  );
  const idle = rendered.split(/^### /m).filter((section) => /^- Tests: none$/m.test(section));
  expect(idle.map((section) => section.split('\n')[0])).toEqual([]);
  await expect(rendered).toMatchFileSnapshot(ROOT + PAGE);
});
