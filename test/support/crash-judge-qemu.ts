/** QEMU's word on states that a power cut may leave: sound, listed, and a guest can write on. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { openImage } from '../../src/image/open.js';
import { memoryDevice } from '../../src/io/memory.js';
import { checkPlain, contentsOf } from './crash-judge.js';
import { copyCompanions } from './fixture.js';
import type { Random } from './mutate.js';
import { temporaryDirectory } from './directories.js';
import { check, qemuImg, qemuIo } from './qemu.js';

/** A state that the plain reader found right. */
export interface SampledState {
  readonly fixture: string;
  readonly edit: string;
  readonly bytes: Uint8Array;
}

const WRITES_EACH = 12;

/**
 * Holds states to what QEMU's tools say of them; as many as `most`, chosen by chance.
 *
 * @returns how many were tried, and how often a guest wrote.
 */
export async function judgeByQemu(
  all: readonly SampledState[],
  most: number,
  random: Random,
): Promise<{ readonly states: number; readonly writes: number }> {
  const directory = temporaryDirectory();
  const path = join(directory, 'cut.qcow2');
  const samples = [...all];
  while (samples.length > most) samples.splice(random(samples.length), 1);
  let writes = 0;
  for (const { fixture, edit, bytes } of samples) {
    copyCompanions(fixture, directory);
    writeFileSync(path, bytes);
    const what = `${fixture}, ${edit}`;
    const { header, snapshots } = await openImage(memoryDevice(bytes));
    await expectNothingNew(path, bytes, what);
    const list = await qemuImg(['snapshot', '-l', path]);
    expect(list.stdout.split('\n').length > 2, what).toBe(snapshots.length > 0);
    writes += await writeOn(path, header.diskSizeBytes, random);
    expect(contentsOf(readFileSync(path)).snapshots, what).toEqual(contentsOf(bytes).snapshots);
    await expectNothingNew(path, bytes, `${what}, written on`);
  }
  return { states: samples.length, writes };
}

/** No finding of `qemu-img check` but leaks that the image had before the edit. */
async function expectNothingNew(path: string, state: Uint8Array, what: string): Promise<void> {
  const { report, stderr } = await check(path);
  const { corruptions = 0, leaks = 0, 'check-errors': errors } = report!;
  expect({ errors, corruptions }, `${what}: ${stderr}`).toEqual({ errors: 0, corruptions: 0 });
  expect(leaks, what).toBeLessThanOrEqual(checkPlain(state).leaks.size);
}

/** A guest that goes on after the cut. */
async function writeOn(path: string, diskSizeBytes: number, random: Random): Promise<number> {
  const pieces = Array.from({ length: WRITES_EACH }, () => {
    const at = random(Math.ceil(diskSizeBytes / 512)) * 512;
    return { at, length: Math.min(diskSizeBytes - at, 512 * (1 + random(256))) };
  }).filter(({ length }) => length > 0);
  await qemuIo(
    path,
    pieces.map(({ at, length }) => `write -q -P 0x5a ${at} ${length}`),
  );
  return pieces.length;
}
