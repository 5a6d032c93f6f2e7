/**
 * VM state behind the active disk goes where QEMU takes it: into a new snapshot, and back with an applied one.
 *
 * QSNAP_SEED repeats a run, QSNAP_ROUNDS makes it longer.
 */
import path from 'node:path';
import { expect, test } from 'vitest';
import { memoryDirectory } from '../support/directories.js';
import { randomFrom, roundsOf, seedOf, type Random } from '../support/model-random.js';
import { check, describeWithQemu, expectClean, qemuImg, qemuIo } from '../support/qemu.js';
import { qsnap } from '../cli/qsnap/harness.js';
import { ourOutcome, qemuOutcome } from './parity.js';

const seed = seedOf() + 29;
const rounds = Math.max(3, roundsOf(3));
const PIECE = 16_384;
const AREA_BYTES = 8 * PIECE;
const KINDS: readonly (readonly string[])[] = [
  [],
  ['-o', 'cluster_size=4k'],
  ['-o', 'compat=0.10'],
  ['-o', 'extended_l2=on'],
];

describeWithQemu('VM state behind the active disk', () => {
  console.log(`QSNAP_SEED=${seed - 29} QSNAP_ROUNDS=${rounds}`);
  for (let i = 0; i < rounds; i++) {
    const kind = KINDS[i % KINDS.length]!;
    test(`${i}: ${kind.join(' ')}`, () => sameAsTwin(kind, randomFrom(seed + i)));
  }

  test('qsnap leaves it out of new snapshots and of what it applies', async () => {
    const image = path.join(memoryDirectory(), 'disk.qcow2');
    await qemuImg(['create', '-q', '-f', 'qcow2', image, '4M']);
    await qemuIo(image, ['write -P 1 0 64k', 'write -b -P 2 0 64k']);
    expect((await qsnap(['create', image, 's'])).code).toBe(0);
    expect((await qemuIo(image, ['read -b -P 2 0 64k'])).code).toBe(0);
    expect((await qsnap(['show', image, 's'])).stdout).not.toContain('VM state behind it');
    expect((await qsnap(['apply', image, 's'])).code).toBe(0);
    expect((await qemuIo(image, ['read -b -P 0 0 64k', 'read -P 1 0 64k'])).code).toBe(0);
    await expectClean(image);
  });
});

async function sameAsTwin(kind: readonly string[], random: Random): Promise<void> {
  const twins = { qemu: memoryDirectory(), ours: memoryDirectory() };
  for (const cwd of Object.values(twins)) {
    await qemuImg(['create', '-q', '-f', 'qcow2', ...kind, 'disk', String(AREA_BYTES)], { cwd });
  }
  const names: string[] = [];
  for (let step = 0; step < 10; step++) {
    const writes = [`write ${random.below(2) === 0 ? '-b ' : ''}-P ${step + 1} ${placeOf(random)}`];
    for (const cwd of Object.values(twins)) await qemuIo('disk', writes, { cwd });
    const action = actionOf(names, step, random);
    const ends = [
      await qemuOutcome(['snapshot', ...action, 'disk'], twins.qemu),
      await ourOutcome(['snapshot', ...action, 'disk'], twins.ours),
    ];
    expect(ends[1], action.join(' ')).toEqual(ends[0]);
    expect(await contentOf(twins.ours), action.join(' ')).toEqual(await contentOf(twins.qemu));
    await expectClean(path.join(twins.ours, 'disk'));
    const [qemu, ours] = [await allocatedOf(twins.qemu), await allocatedOf(twins.ours)];
    expect(ours).toEqual(qemu);
  }
}

function actionOf(names: string[], step: number, random: Random): string[] {
  const name = names[random.below(Math.max(1, names.length))];
  const choice = random.below(4);
  if (name === undefined || choice < 2) {
    names.push(`s${step}`);
    return ['-c', `s${step}`];
  }
  if (choice === 2) return ['-a', name];
  names.splice(names.indexOf(name), 1);
  return ['-d', name];
}

const placeOf = (random: Random): string =>
  `${random.below(AREA_BYTES / PIECE) * PIECE} ${512 * (1 + random.below(32))}`;

/** All bytes of the disk and of the VM state, as QEMU reads them. */
async function contentOf(cwd: string): Promise<string> {
  const reads = [`read -v 0 ${AREA_BYTES}`, `read -b -v 0 ${AREA_BYTES}`];
  const { stdout } = await qemuIo('disk', reads, { cwd, readOnly: true });
  return stdout.replaceAll(/.*ops\/sec.*/g, '');
}

async function allocatedOf(cwd: string): Promise<number | undefined> {
  return (await check(path.join(cwd, 'disk'))).report?.['allocated-clusters'];
}
