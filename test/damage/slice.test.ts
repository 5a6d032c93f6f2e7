/** A slice of the measuring run in every run of the suite: the same damages each time. */
import { expect, onTestFinished, test } from 'vitest';
import { IS_PLAIN } from '../support/left-out.js';
import { describeWithQemu } from '../support/qemu.js';
import { Campaign } from './campaign.js';
import { countOf, FAILURES, storiesOf, tableOf } from './figures.js';
import { KINDS } from './kinds.js';

const SEED = Number(process.env['QSNAP_SEED'] ?? 7);
/** One of each kind in a plain run. `npm run damage` makes as many as it is told to. */
const DAMAGES = Number(process.env['QSNAP_DAMAGES'] ?? (IS_PLAIN ? 1 : 2) * KINDS.size);
const WRITES_ONE_IN = 4;
/** Of the damages: where nothing in the file tells lost data from a leak. */
const FREED_SHARE = 0.02;

describeWithQemu('real damage to real images', () => {
  test(
    'is not called sound, and no repair destroys what is left',
    { timeout: 600_000 },
    async () => {
      const campaign = await Campaign.start({
        seed: SEED,
        writesOneIn: WRITES_ONE_IN,
        withQemu: false,
      });
      onTestFinished(() => {
        campaign.close();
      });
      const trials = await campaign.run(Array.from({ length: DAMAGES }, (_, i) => i));
      console.log(`seed ${SEED}\n${tableOf(trials, 'qsnap')}`);
      const failed = trials.filter(({ qsnap }) =>
        FAILURES.some((each) => qsnap[each] !== undefined),
      );
      expect(failed.flatMap((trial) => storiesOf(trial, SEED))).toEqual([]);
      expect(countOf(trials, 'freed')).toBeLessThanOrEqual(DAMAGES * FREED_SHARE);
      // A signal or a wait without end in QEMU: such a damage does not belong here.
      expect(countOf(trials, 'unjudged')).toBe(0);
      // Damage that loses nothing proves little, and so does a repair that refuses everything.
      expect(trials.filter(({ loss }) => loss !== undefined).length).toBeGreaterThan(DAMAGES / 2);
      expect(countOf(trials, 'refused')).toBeLessThan(DAMAGES / 2);
    },
  );
});
