import { describe, expect, test } from 'vitest';
import { compileRegex, secretFinder } from '../../../src/cli/qsnap/secret-finder.js';
import { findKnownSecrets, findRule, type NamedRegex } from '../../../src/index.js';
import { mistakesIn, read } from './policy-harness.js';

const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));

function found(
  text: string,
  regex: string,
  wants = (): boolean => true,
): readonly (readonly [number, number])[] {
  const patterns: readonly NamedRegex[] = [{ name: 'own', regex }];
  const rules = new Map([
    [findRule('secrets-left')!.id, { level: 'error' as const, options: { patterns } }],
  ]);
  const find = secretFinder({ rules, exceptions: [] });
  return [...find(bytesOf(text), wants)].map(({ at, length }) => [at, length] as const);
}

test('without expressions of a policy the known shapes are looked for', () => {
  expect(secretFinder({ rules: new Map(), exceptions: [] })).toBe(findKnownSecrets);
});

describe('an expression', () => {
  test.each([
    [
      'all that does not overlap',
      'aaaaa',
      'aa',
      [
        [0, 2],
        [2, 2],
      ],
    ],
    ['ends of lines', 'tok\ntok tok\n', '^tok$', [[0, 3]]],
    ['bytes that are not ASCII', '\xff\x80tok', '\\x80tok', [[1, 4]]],
    ['nothing that is empty', 'ab ab', '\\b', []],
  ] as const)('finds %s', (_, text, regex, wanted) => {
    expect(found(text, regex)).toEqual(wanted);
  });

  test.each([65_530, 65_535, 65_536, 65_537, 131_070])('finds one at %i once', (at) => {
    const text = `${' '.repeat(at)}tok_123456${' '.repeat(70_000)}`;
    expect(found(text, '\\btok_[0-9]{6}\\b')).toEqual([[at, 10]]);
    expect(found(`${'x'.repeat(at)}tok_123456`, '\\btok_[0-9]{6}\\b')).toEqual([]);
  });

  test('ends where no more are wanted', () => {
    let left = 3;
    expect(found('a '.repeat(100_000), 'a', () => left-- > 0).length).toBeLessThan(4);
  });

  test('that nests repetitions takes time in proportion to the bytes', () => {
    const begun = performance.now();
    expect(found(`${'a'.repeat(200_000)}!`, '(a+)+c')).toEqual([]);
    expect(performance.now() - begun).toBeLessThan(10_000);
  });

  test.each([
    ['(', 'missing closing )'],
    ['(a)\\1', 'invalid escape sequence'],
    ['(?=a)', 'invalid or unsupported Perl syntax'],
    ['a*', 'an empty text is like it'],
    ['a{999}b{999}', 'states'],
  ])('%s is none', (regex, said) => {
    expect(() => compileRegex(regex)).toThrow(SyntaxError);
    expect(() => compileRegex(regex)).toThrow(said);
  });
});

describe('in a policy', () => {
  const policy = (patterns: string): string =>
    `rules:\n  secrets-left:\n    level: error\n    patterns:\n${patterns}`;

  test('are taken as they are written', async () => {
    const { policy: read_ } = await read(policy("      - { name: own, regex: 'a\\d{3}' }\n"));
    expect(read_.rules.get(findRule('secrets-left')!.id)?.options).toEqual({
      patterns: [{ name: 'own', regex: 'a\\d{3}' }],
    });
  });

  test('each mistake is told with its place', async () => {
    const lines = [
      '      - just a text',
      '      - { name: own }',
      '      - { name: Own, regex: a }',
      '      - { name: npm-token, regex: a }',
      '      - { name: a, regex: "(" }',
      '      - { name: a, regex: "é" }',
      '      - { name: b, regex: b, flags: i }',
    ];
    const mistakes = await mistakesIn(policy(`${lines.join('\n')}\n`));
    expect(mistakes.slice(1)).toEqual([
      expect.stringContaining('policy.yaml:5:9: patterns of secrets-left is a list of maps'),
      expect.stringContaining('policy.yaml:6:9: one of the patterns of secrets-left has no regex'),
      expect.stringContaining('policy.yaml:7:17: the name'),
      expect.stringContaining('policy.yaml:8:17: the name'),
      expect.stringContaining('policy.yaml:9:27: the regex'),
      expect.stringContaining('policy.yaml:10:17: the name'),
      expect.stringContaining('policy.yaml:10:27: the regex'),
      expect.stringContaining('policy.yaml:11:30: one of the patterns'),
    ]);
    expect(await mistakesIn(policy('      no list\n'))).toHaveLength(2);
    expect(await mistakesIn(policy('      []\n'))).toHaveLength(2);
  });
});
