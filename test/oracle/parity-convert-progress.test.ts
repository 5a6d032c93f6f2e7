import path from 'node:path';
import { expect, test } from 'vitest';
import { randomFrom, roundsOf, seedOf } from '../support/model-random.js';
import { temporaryDirectory } from '../support/directories.js';
import { describeWithQemu, expectClean, expectIdentical } from '../support/qemu.js';
import { chainPlan, makeChain } from '../support/seeded-chain.js';
import { ourOutcome, qemuOutcome } from './parity.js';

const Q = ['-O', 'qcow2'];

/** How the same source is copied. */
const WAYS: readonly (readonly string[])[] = [
  [],
  ['-S', '0'],
  ['-S', '64k'],
  Q,
  [...Q, '-c'],
  [...Q, '-c', '-o', 'cluster_size=4k'],
  [...Q, '-c', '-o', 'cluster_size=2M'],
];

/** Ways that leave something to the backing file of the copy. */
const OVER: readonly (readonly string[])[] = [Q, [...Q, '-S', '0'], [...Q, '-c']];

describeWithQemu('convert -p', () => {
  const seed = seedOf();
  const rounds = roundsOf(1);
  test(
    `the same percentages of seeded chains (seed ${seed})`,
    { timeout: rounds * 20_000 },
    async () => {
      const random = randomFrom(seed);
      const folder = temporaryDirectory();
      let lines = 0;
      for (let round = rounds; round > 0; round--) {
        const plan = chainPlan(random);
        await makeChain(folder, 'a', plan);
        const below = plan.length > 1 ? [`-B`, `a${plan.length - 2}`, '-F', 'qcow2'] : undefined;
        const ways = [
          ...WAYS.map((way) => [...way, 'a']),
          ...(below === undefined ? [] : OVER.map((way) => [...way, ...below, 'a'])),
          [...random.pick(WAYS), 'a', 'a'],
        ];
        for (const way of ways) {
          const qemu = await qemuOutcome(['convert', '-p', ...way, 'theirs'], folder);
          const ours = await ourOutcome(['convert', '-p', ...way, 'ours'], folder);
          expect(ours, `${way.join(' ')} round ${round} ${JSON.stringify(plan)}`).toEqual(qemu);
          lines += qemu.stdout.split('\r').length;
          await expectSameDisk(folder);
        }
      }
      // Not only beginnings and ends.
      expect(lines).toBeGreaterThan(45);
    },
  );

  async function expectSameDisk(folder: string): Promise<void> {
    await expectIdentical(path.join(folder, 'theirs'), path.join(folder, 'ours'));
    const info = await qemuOutcome(['info', 'ours'], folder);
    if (info.stdout.includes('file format: qcow2')) await expectClean(path.join(folder, 'ours'));
  }
});
