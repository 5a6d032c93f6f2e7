import { expect, test } from 'vitest';
import { utf8Bytes } from '../../../../src/base/text.js';
import { parseHeaderAround } from '../../../../src/qcow2/header.js';
import { KEPT_NAMES, replacedNames } from '../../../../src/make/dehydrate/names.js';
import { newHead } from '../../../../src/make/dehydrate/new-head.js';
import { buildImage, layoutOf } from '../../../support/image-builder.js';
import { putU32, putU64 } from '../../../support/image-builder-layout.js';

const BACKING_FORMAT = 0xe2792aca;
const FEATURE_NAMES = 0x6803f857;

/** The first cluster of an image with these extensions, and a name of a backing file at 2048. */
function clusterWith(
  extensions: readonly (readonly [type: number, bytes: Uint8Array])[],
  backing = '',
): Uint8Array {
  const cluster = buildImage().subarray(0, 4096);
  let at = 104;
  for (const [type, bytes] of extensions) {
    putU32(cluster, at, type);
    putU32(cluster, at + 4, bytes.length);
    cluster.set(bytes, at + 8);
    at += 8 + Math.ceil(bytes.length / 8) * 8;
  }
  cluster.fill(0x53, at + 8, 2000);
  if (backing === '') return cluster;
  putU64(cluster, 8, 2048n);
  putU32(cluster, 16, backing.length);
  cluster.set(utf8Bytes(backing), 2048);
  return cluster;
}

function headOf(cluster: Uint8Array, names = replacedNames()): Uint8Array {
  return newHead(cluster, parseHeaderAround(cluster, 2 ** 20).header, names);
}

const latin = (bytes: Uint8Array, at: number, length: number): string =>
  Buffer.from(bytes).toString('latin1', at, at + length);

test('a backing format that QEMU has stays, and its name goes; so does what lies behind', () => {
  const cluster = clusterWith([[BACKING_FORMAT, utf8Bytes('qcow2')]], '/home/ann/base.qcow2');
  const head = headOf(cluster);
  expect(latin(head, 112, 5)).toBe('qcow2');
  expect(latin(head, 2048, 20)).toBe('f1------------------');
  expect(head.includes(0x53)).toBe(false);
  expect([...head.subarray(0, 104)]).toEqual([...cluster.subarray(0, 104)]);
  expect(layoutOf(head).extensions).toEqual([{ type: BACKING_FORMAT, at: 112, bytes: 5 }]);
  expect(latin(headOf(cluster, KEPT_NAMES), 2048, 20)).toBe('/home/ann/base.qcow2');
});

test('a format of another name is a name', () => {
  expect(latin(headOf(clusterWith([[BACKING_FORMAT, utf8Bytes('ours!')]])), 112, 5)).toBe('f1---');
});

test('names of features that QEMU has not are replaced', () => {
  const table = new Uint8Array(96);
  table.set(utf8Bytes('dirty bit'), 2);
  table.set([0, 9], 48);
  table.set(utf8Bytes('secret feature'), 50);
  table.set(utf8Bytes('junk'), 90);
  const head = headOf(clusterWith([[FEATURE_NAMES, table]]));
  expect(latin(head, 114, 9)).toBe('dirty bit');
  expect(latin(head, 112 + 48, 16)).toBe('\0\tf1------------');
  expect(latin(head, 112, 96)).not.toContain('junk');
});

test('unknown extensions become zeros of the same length', () => {
  const head = headOf(clusterWith([[0x12345678, utf8Bytes('whatever')]]));
  expect(layoutOf(head).extensions).toEqual([{ type: 0x12345678, at: 112, bytes: 8 }]);
  expect(latin(head, 112, 8)).toBe('\0'.repeat(8));
});

test('an extension that reaches past its area is as wrong, and nothing behind it is taken', () => {
  const cluster = clusterWith([[0x12345678, utf8Bytes('whatever')]]);
  putU32(cluster, 108, 0xffff);
  const head = headOf(cluster);
  expect([...head.subarray(104, 112)]).toEqual([...cluster.subarray(104, 112)]);
  expect(head.subarray(112).every((byte) => byte === 0)).toBe(true);
});
