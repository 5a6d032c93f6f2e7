/**
 * docs/rescue.md tells how much a rescue brings back, by `npm run damage -- --shares --images 510 --seed 1`. All of
 * it takes too long for every run: this holds the page to the kinds that there are, and to a few of those images.
 */
import { readFileSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { oneIn } from '../support/left-out.js';
import { describeWithQemu } from '../support/qemu.js';
import { Campaign } from './campaign.js';
import { rescueTableOf } from './figures.js';
import { KINDS } from './kinds.js';
import { byQsnap, sharesOfBytes } from './rescued.js';
import { specimenOf } from './trial.js';

const SEED = 1;
const rows = readFileSync(new URL('../../docs/rescue.md', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('|'))
  .map((line) => line.split('|').map((cell) => cell.trim()));
const table = rows.slice(rows.findIndex(([, first]) => first === 'kind of damage'));

test('the table has all kinds of damage, with the columns that the command prints', () => {
  const headings = rescueTableOf([]).split('\n')[0]!.split('|');
  expect(table[0]).toEqual(headings.map((heading) => heading.trim()));
  expect(table.slice(2).map(([, kind]) => kind)).toEqual([...KINDS.keys(), 'all']);
});

describeWithQemu('images of the table', () => {
  test('come back whole where it says so of all of their kind', { timeout: 300_000 }, async () => {
    const campaign = await Campaign.start({ seed: SEED, writesOneIn: 0, withQemu: false });
    onTestFinished(() => {
      campaign.close();
    });
    const whole = [...KINDS.keys()].filter((kind) =>
      table.some(([, name, , share]) => name === kind && share === '100.0 %'),
    );
    expect(whole.length).toBeGreaterThan(5);
    for (const kind of oneIn(3, whole)) {
      const index = [...KINDS.keys()].indexOf(kind);
      const { sound, bytes, where } = specimenOf(SEED, index, campaign.anatomies);
      const shares = sharesOfBytes(sound.plain, bytes, await byQsnap(bytes));
      expect(
        shares.map(({ back }) => back),
        `${kind}: ${where}`,
      ).toEqual(shares.map((share) => share.bytes));
    }
  });
});
