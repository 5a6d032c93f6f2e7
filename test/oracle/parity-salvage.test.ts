/** `convert --salvage` past table entries that can't be right: what is left of the disk. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { loadFixture } from '../support/fixture.js';
import { layoutOf } from '../support/image-builder.js';
import { temporaryDirectory } from '../support/directories.js';
import { describeWithQemu } from '../support/qemu.js';
import { ourOutcome, qemuOutcome } from './parity.js';

/** Sets a bit that takes an entry off its cluster's start. */
function spoil(bytes: Uint8Array, at: number): void {
  bytes[at + 6]! |= 0x02;
}

const tableOf = (bytes: Uint8Array, at: number): number => {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return Number(view.getBigUint64(at) & 0x00ff_ffff_ffff_fe00n);
};

const DAMAGE: Readonly<Record<string, (bytes: Uint8Array) => void>> = {
  'an L2 entry': (bytes) => {
    spoil(bytes, tableOf(bytes, layoutOf(bytes).l1At));
  },
  'two L2 entries': (bytes) => {
    const l2At = tableOf(bytes, layoutOf(bytes).l1At);
    for (const entry of [1, 3]) spoil(bytes, l2At + entry * 8);
  },
  'an L1 entry': (bytes) => {
    spoil(bytes, layoutOf(bytes).l1At);
  },
};

describeWithQemu('convert --salvage', () => {
  test.each(Object.keys(DAMAGE))('past %s off a cluster boundary', async (name) => {
    const folder = temporaryDirectory();
    const bytes = loadFixture('five-snapshots');
    DAMAGE[name]!(bytes);
    writeFileSync(path.join(folder, 'a'), bytes);
    const argv = (out: string) => ['convert', '--salvage', '-O', 'raw', 'a', out];
    const qemu = await qemuOutcome(argv('qemu.raw'), folder);
    const ours = await ourOutcome(argv('ours.raw'), folder);
    expect([ours.code, ours.stdout]).toEqual([qemu.code, qemu.stdout]);
    const content = (out: string): Buffer => readFileSync(path.join(folder, out));
    expect(content('ours.raw').equals(content('qemu.raw'))).toBe(true);
    const lines = (text: string): string[] =>
      text.match(/warning: error while reading offset \d+: .*/g)!.toSorted();
    expect(lines(ours.stderr)).toEqual(lines(qemu.stderr));
    // Without the option both fail.
    const plain = (out: string) => ['convert', '-O', 'raw', 'a', out];
    expect((await qemuOutcome(plain('q.raw'), folder)).code).toBe(1);
    expect((await ourOutcome(plain('o.raw'), folder)).code).toBe(1);
  });
});
