import { describe, expect, test } from 'vitest';
import { findSnapshot } from '../../../../src/edit/snapshot/find.js';
import { describeSnapshot } from '../../../../src/qcow2/describe-snapshot.js';
import { outcome, snapshotsNamed } from './snapshots.js';

const SNAPSHOTS = snapshotsNamed(
  ['1', '2'],
  ['2', 'base'],
  ['3', '3'],
  ['4', 'twice'],
  ['5', 'twice'],
  ['6', 'id:2'],
  ['7', ''],
);

describe('S5: an id and a name are told apart', () => {
  test.each([
    ['base', '2'],
    ['1', '1'],
    ['3', '3'],
    ['id:2', '2'],
    ['name:2', '1'],
    ['name:id:2', '6'],
    ['name:', '7'],
    ['2', 'SNAPSHOT_AMBIGUOUS'],
    ['twice', 'SNAPSHOT_AMBIGUOUS'],
    ['name:twice', 'SNAPSHOT_AMBIGUOUS'],
    ['id:5', '5'],
    ['', '7'],
    ['none', 'SNAPSHOT_NOT_FOUND'],
    ['id:', 'SNAPSHOT_NOT_FOUND'],
    ['id:base', 'SNAPSHOT_NOT_FOUND'],
    ['name:1', 'SNAPSHOT_NOT_FOUND'],
    ['BASE', 'SNAPSHOT_NOT_FOUND'],
    ['base ', 'SNAPSHOT_NOT_FOUND'],
    ['#0', '1'],
    ['#6', '7'],
    ['#7', 'SNAPSHOT_NOT_FOUND'],
    ['#-1', 'SNAPSHOT_NOT_FOUND'],
    ['#1x', 'SNAPSHOT_NOT_FOUND'],
    ['id:#1', 'SNAPSHOT_NOT_FOUND'],
  ])('"%s" means %s', (selector, expected) => {
    expect(outcome(() => findSnapshot(SNAPSHOTS, selector).id)).toBe(expected);
  });

  test('the error lists the candidates', () => {
    expect(() => findSnapshot(SNAPSHOTS, '2')).toThrow(
      expect.objectContaining({
        details: expect.objectContaining({
          candidates: [
            expect.stringMatching(/^#0 1 "2" \d{4}-\d\d-\d\dT[\d:]{8}Z$/),
            expect.stringMatching(/^#1 2 "base" /),
          ] as unknown,
        }) as unknown,
      }) as Error,
    );
  });

  test('a name that looks like the position of another snapshot is ambiguous', () => {
    const odd = snapshotsNamed(['1', '#1'], ['2', 'x'], ['3', '#2']);
    expect(outcome(() => findSnapshot(odd, '#1').id)).toBe('SNAPSHOT_AMBIGUOUS');
    expect(outcome(() => findSnapshot(odd, 'name:#1').id)).toBe('1');
    expect(outcome(() => findSnapshot(odd, '#2').id)).toBe('3');
  });

  test('E3: an error never has a raw control character in its message', () => {
    expect(() => findSnapshot(SNAPSHOTS, '\u001b[2J')).toThrow('"\\x1b[2J"');
  });
});

test('S7: names that are not UTF-8 are compared as bytes: two of them are not equal', () => {
  const odd = snapshotsNamed(['1', Uint8Array.of(0xff)], ['2', Uint8Array.of(0xfe)]);
  expect(outcome(() => findSnapshot(odd, '\ufffd'))).toBe('SNAPSHOT_NOT_FOUND');
  expect(describeSnapshot(odd[0]!)).toBe('1 "\\xff"');
});
