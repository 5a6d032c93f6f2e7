import { expect, test } from 'vitest';
import {
  decodeFeatureNames,
  describeFeature,
  unknownFeatures,
} from '../../../src/qcow2/features.js';
import { decodeHeader } from '../../../src/qcow2/header.js';
import { loadFixture } from '../../support/fixture.js';
import { bytesOf } from './header-bytes.js';

function entry(kind: number, bit: number, name: string): number[] {
  const bytes = new Uint8Array(48);
  bytes.set([kind, bit]);
  bytes.set(new TextEncoder().encode(name).subarray(0, 46), 2);
  return [...bytes];
}

test('H15: 48 bytes each; a name of full length has no zero byte at its end', () => {
  const long = 'n'.repeat(46);
  const table = Uint8Array.from([...entry(0, 1, 'one'), ...entry(2, 63, long), ...entry(1, 0, '')]);
  expect(decodeFeatureNames(table)).toEqual([
    { kind: 'incompatible', bit: 1, name: 'one' },
    { kind: 'autoclear', bit: 63, name: long },
    { kind: 'compatible', bit: 0, name: '' },
  ]);
});

test('H15: an entry of unknown kind and a cut one are passed over', () => {
  const table = Uint8Array.from([...entry(3, 1, 'other'), ...entry(0, 2, 'two'), 0, 9, 65]);
  expect(decodeFeatureNames(table)).toEqual([{ kind: 'incompatible', bit: 2, name: 'two' }]);
});

test('H2, H15: an unknown bit is called by the name in the image, or by its number', () => {
  const named = loadFixture('feature-incompatible-named');
  expect(unknownFeatures(decodeHeader(named), named).map(describeFeature)).toEqual([
    'from the future (bit 40)',
  ]);
  const bare = loadFixture('feature-incompatible-unknown');
  expect(unknownFeatures(decodeHeader(bare), bare)).toEqual([{ bit: 60, name: undefined }]);
  expect(describeFeature({ bit: 60, name: undefined })).toBe('unknown bit 60');
});

test('E3: a name with control characters is described escaped', () => {
  expect(describeFeature({ bit: 5, name: 'a\u001b[31mb' })).toBe('a\\x1b[31mb (bit 5)');
});

test('H2: the five bits of the specification are known', () => {
  expect(unknownFeatures({ incompatible: 0x1fn, headerBytes: 104 }, new Uint8Array(512))).toEqual(
    [],
  );
});

test('H6: a table that lies about its length ends the search', () => {
  const bytes = new Uint8Array(160);
  bytes.set(bytesOf('11111111 ffffffff'), 104);
  const unknown = unknownFeatures({ incompatible: 1n << 40n, headerBytes: 104 }, bytes);
  expect(unknown).toEqual([{ bit: 40, name: undefined }]);
});
