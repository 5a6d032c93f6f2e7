import { describe, expect, test } from 'vitest';
import {
  BITMAP_ENTRY,
  BITMAPS_EXTENSION,
  ENCRYPTION_POINTER,
  HEADER_V2,
  HEADER_V3,
  SNAPSHOT_ENTRY,
  SNAPSHOT_EXTRA,
} from '../../src/qcow2/spec.js';
import type { Field, Layout } from '../../src/base/struct.js';
import { readPlain } from '../support/crash-judge-image.js';
import { settleEncryption } from '../support/encryption-claim.js';
import { loadFixture } from '../support/fixture.js';
import { editNamed } from '../support/crash-judge-edits.js';
import { putThrough } from './ordeal.js';
import { oneIn } from '../support/left-out.js';

const WIDTH = { u8: 8, u16: 16, u32: 32, u64: 64 } as const;
/** A field that leads an edit astray leads each of them: two in turn for every value. */
const edits = ['create', 'apply the first', 'delete the first', 'rename the last'].map(editNamed);
/** Powers of two at which something changes: limits, sign bits, exact numbers, flags. */
const BITS = [9n, 15n, 16n, 22n, 31n, 32n, 33n, 40n, 52n, 53n, 54n, 55n, 56n, 57n, 62n, 63n, 64n];
const MOST_FAULTS = 5;

/** Every value that a count, an offset or a size is likely to be wrong by. */
function valuesFor(field: Field, was: bigint, bytes: Uint8Array): readonly bigint[] {
  const end = BigInt(bytes.length);
  const cluster = BigInt(readPlain(bytes).clusterBytes);
  const values = [0n, 1n, 2n, 7n, 8n, 9n, 14n, 21n, 22n, 63n, 64n, 72n, 104n, 255n];
  const limits = [127n, 128n, 256n, 1023n, 1024n, 1025n, 65_537n, 0x8000000n];
  for (const bits of BITS) limits.push(2n ** bits - 1n, 2n ** bits);
  const near = [was - 1n, was + 1n, was * 2n, was + cluster, was + 512n, end, end - 1n, end + 1n];
  const places = [cluster, 2n * cluster, 3n * cluster, end - (end % cluster), end + cluster];
  const all = [...values, ...limits, ...near, ...places, was | (1n << 63n), was ^ (1n << 62n)];
  const max = 2n ** BigInt(WIDTH[field.type]);
  return [...new Set(all.filter((value) => value >= 0n && value < max))];
}

function read(bytes: Uint8Array, at: number, field: Field): bigint {
  const size = WIDTH[field.type] / 8;
  return bytes.subarray(at, at + size).reduce((value, byte) => value * 256n + BigInt(byte), 0n);
}

function write(bytes: Uint8Array, at: number, field: Field, value: bigint): void {
  const size = WIDTH[field.type] / 8;
  for (let i = 0; i < size; i++)
    bytes[at + i] = Number((value >> BigInt(8 * (size - 1 - i))) & 255n);
}

/**
 * Puts every value into every field of a structure that lies at `base`, one at a time.
 *
 * @param least how many of the images have to be opened at least.
 */
async function tryAll(name: string, layout: Layout, base: number, least = 4): Promise<void> {
  const bytes = loadFixture(name);
  const faults: string[] = [];
  let opened = 0;
  // Of a short structure few values keep the image from being opened, so all are tried.
  const share = Object.keys(layout).length > 4 ? 4 : 1;
  for (const [row, [key, field]] of Object.entries(layout).entries()) {
    const at = base + field.at;
    const was = read(bytes, at, field);
    for (const [i, value] of oneIn(share, [...valuesFor(field, was, bytes).entries()], row)) {
      if (faults.length >= MOST_FAULTS) break;
      const mutant = bytes.slice();
      write(mutant, at, field, value);
      settleEncryption(mutant);
      const outcome = await putThrough(mutant, [edits[i % 4]!, edits[(i + 1) % 4]!]);
      opened += Number(outcome.opened);
      for (const fault of outcome.faults) {
        faults.push(`${name}, ${key} at ${at} = 0x${value.toString(16)}: ${fault}`);
      }
    }
  }
  expect(faults).toEqual([]);
  expect(opened, 'values that did not keep the image from being opened').toBeGreaterThanOrEqual(
    least,
  );
}

/** Where the data of a header extension starts. */
function extensionAt(bytes: Uint8Array, type: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 104; at + 8 < 4096; at += 8) if (view.getUint32(at) === type) return at + 8;
  throw new Error('the fixture has no such extension');
}

/** Fixtures for every run, and more of them with `QSNAP_THOROUGH=1`. */
function named(always: readonly string[], more: readonly string[]): readonly string[] {
  return process.env['QSNAP_THOROUGH'] === '1' ? [...always, ...more] : always;
}

describe('every value in every field of', { timeout: 120_000 }, () => {
  test.each(named(['cluster-512', 'extended-l2-16k'], ['refcount-64', 'lazy-refcounts']))(
    'the header of %s',
    (name) => tryAll(name, { ...HEADER_V2, ...HEADER_V3 }, 0),
  );

  test.each(named(['zeros-v2'], ['extra-data-v2', 'vm-state-v2']))(
    'the version 2 header of %s',
    (name) => tryAll(name, HEADER_V2, 0),
  );

  test.each(named(['vm-state-5gib'], ['cluster-512', 'extra-data-v2', 'resized-larger']))(
    'the snapshot table entries of %s',
    async (name) => {
      const { snapshots } = readPlain(loadFixture(name));
      for (const { at } of [snapshots[0]!, snapshots.at(-1)!]) {
        await tryAll(name, SNAPSHOT_ENTRY, at);
      }
    },
  );

  test.each(named(['cluster-512'], ['amended-to-v3', 'vm-state-5gib']))(
    'the extra data of the snapshots of %s',
    async (name) => {
      const { snapshots } = readPlain(loadFixture(name));
      for (const { at } of [snapshots[0]!, snapshots.at(-1)!]) {
        await tryAll(name, SNAPSHOT_EXTRA, at + 40);
      }
    },
  );

  test('the bitmaps extension, and its length', async () => {
    const at = extensionAt(loadFixture('bitmaps-snapshots'), 0x23852875);
    await tryAll('bitmaps-snapshots', BITMAPS_EXTENSION, at);
    // There is one right length.
    await tryAll('bitmaps-snapshots', { length: { at: 0, type: 'u32' } }, at - 4, 0);
  });

  test('the bitmap directory', async () => {
    const { others } = readPlain(loadFixture('bitmaps-snapshots'));
    const directory = others.find(({ name }) => name === 'bitmap-directory')!;
    await tryAll('bitmaps-snapshots', BITMAP_ENTRY, directory.at);
  });

  test('a bitmap table', async () => {
    const { bitmapTables } = readPlain(loadFixture('bitmaps-snapshots'));
    await tryAll('bitmaps-snapshots', { entry: { at: 0, type: 'u64' } }, bitmapTables[0]!.at);
  });

  test('the encryption header pointer', async () => {
    const at = extensionAt(loadFixture('luks'), 0x0537be77);
    await tryAll('luks', ENCRYPTION_POINTER, at);
  });

  test('the feature name table and backing format', async () => {
    const at = extensionAt(loadFixture('extension-unknown'), 0x6803f857);
    await tryAll('extension-unknown', { length: { at: 0, type: 'u32' } }, at - 4);
  });
});
