/** SARIF of audits: places, fingerprints, and what is allowed or could not be read. */
import { describe, expect, test } from 'vitest';
import { AUDIT_RULES } from '../../../src/index.js';
import { VERSION } from '../../../src/cli/version.js';
import { sarifOf } from './audit-readers.js';
import { audited, finding, NOT_READ } from './audit-samples.js';
import { helpOfRule } from '../../../src/cli/qsnap/rule-help.js';

test('every rule is there, with what it is for, what to do and how grave it is', () => {
  const { version, rules } = sarifOf([]).tool.driver;
  expect(version).toBe(VERSION);
  expect(rules.map(({ id }) => id)).toEqual(AUDIT_RULES.map(({ id }) => id));
  for (const [i, { help }] of rules.entries()) {
    const { remedy, example } = helpOfRule(AUDIT_RULES[i]!);
    expect(help.text).toContain(remedy);
    expect(help.markdown).toContain(`\`\`\`\n${example}\n\`\`\``);
    // SARIF 2.1.0, 3.11.4.2: no HTML.
    expect(help.markdown).not.toContain('<');
  }
  const levels = new Map(rules.map((one) => [one.id, one.defaultConfiguration.level]));
  expect(levels.get('QS1001')).toBe('error');
  expect(levels.get('QS1105')).toBe('warning');
  expect(levels.get('QS1606')).toBe('note');
});

describe('places', () => {
  const placeOf = (at: number | undefined, length?: number): unknown[] => {
    const [result] = sarifOf([audited('a', [finding({ at, length })])]).results;
    return [result!.locations[0]!.physicalLocation.region, result!.properties];
  };

  test.each([
    [0, 4, { byteOffset: 0, byteLength: 4 }, undefined],
    [72, undefined, { byteOffset: 72 }, undefined],
    [2 ** 31 - 1, 2 ** 31 - 1, { byteOffset: 2 ** 31 - 1, byteLength: 2 ** 31 - 1 }, undefined],
    [2 ** 31, 8, undefined, { byteOffset: 2 ** 31, byteLength: 8 }],
    [2 ** 53 - 1, undefined, undefined, { byteOffset: 2 ** 53 - 1 }],
    [8, 2 ** 31, { byteOffset: 8 }, { byteLength: 2 ** 31 }],
    [undefined, undefined, undefined, undefined],
  ])('of %d and %d fit into 32 bits, or are properties', (at, length, region, properties) => {
    expect(placeOf(at, length)).toEqual([region, properties]);
  });

  test.each([
    ['disk.qcow2', 'disk.qcow2'],
    ['./images//a b.qcow2', 'images/a%20b.qcow2'],
    ['../a%b.qcow2', '../a%25b.qcow2'],
    ['c:d#e?f[g]|h^i\\j', 'c%3Ad%23e%3Ff%5Bg%5D%7Ch%5Ei%5Cj'],
    ['ü\n\ud800', '%C3%BC%0A%EF%BF%BD'],
    ['/srv/./images//a b[1]|^%.qcow2', 'file:///srv/images/a%20b%5B1%5D%7C%5E%25.qcow2'],
  ])('%j is the URI %s', (path, uri) => {
    const [result] = sarifOf([audited(path, [finding()])]).results;
    expect(result!.locations[0]!.physicalLocation.artifactLocation.uri).toBe(uri);
  });
});

describe('fingerprints', () => {
  const printsOf = (path: string, ...changes: Parameters<typeof finding>[0][]): string[] => {
    const { results } = sarifOf([audited(path, changes.map(finding))]);
    return results.map(({ partialFingerprints }) => partialFingerprints['qsnapFinding/v1']!);
  };

  test('do not change with byte offsets, nor with the order of facts', () => {
    const before = printsOf('a', { at: 8, facts: { name: 'x', max: 1 } });
    expect(printsOf('a', { at: 99, length: 3, facts: { max: 1, name: 'x' } })).toEqual(before);
  });

  test('change with the path, the rule and the facts, and differ for two of a kind', () => {
    const prints = [
      ...printsOf(
        'a',
        { facts: { name: 'x' } },
        { facts: { name: 'x' } },
        { facts: { name: 'y' } },
      ),
      ...printsOf('b', { facts: { name: 'x' } }),
      ...printsOf('a', { facts: { name: 'x' }, rule: AUDIT_RULES[0]! }),
    ];
    expect(new Set(prints).size).toBe(5);
  });
});

test('what is allowed is suppressed with the reason, and all results say whether they are', () => {
  const exception = { rule: 'QS1201', images: undefined, reason: 'known', until: 5 };
  const { report } = audited('a', [finding()]);
  const excepted = [{ ...finding(), exception }];
  const { results } = sarifOf([{ path: 'a', report: { ...report, excepted } }]);
  expect(results.map(({ suppressions }) => suppressions)).toEqual([
    [],
    [{ kind: 'external', status: 'accepted', justification: 'known' }],
  ]);
});

test('an image that could not be read fails the run', () => {
  const [invocation] = sarifOf([NOT_READ, audited('a', [])]).invocations;
  expect(invocation!.executionSuccessful).toBe(false);
  const [notification, ...others] = invocation!.toolExecutionNotifications;
  expect(others).toEqual([]);
  expect(notification).toMatchObject({ level: 'error', message: { text: 'no such file' } });
  const [location] = notification!.locations;
  expect(location!.physicalLocation.artifactLocation.uri).toBe('images/gone.qcow2');
  expect(sarifOf([audited('a', [])]).invocations[0]!.executionSuccessful).toBe(true);
});

test.each([
  ['{0} and }', '{{0}} and }}'],
  ['[x](1)', '[x\\](1)'],
  ['[x\\](1)', '[x\\](1)'],
  ['[x\\\\](1)', '[x\\\\\\](1)'],
  ['[x] (1)', '[x] (1)'],
  ['a\nb\x1b', 'a\\nb\\x1b'],
])('a message %j has no place of an argument and no link: %s', (message, text) => {
  expect(sarifOf([audited('a', [finding({ message })])]).results[0]!.message.text).toBe(text);
});
