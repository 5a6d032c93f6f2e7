import { expect, test } from 'vitest';
import { copyCompanions, copyFixture, fixtureNames } from '../support/fixture.js';
import { temporaryDirectory } from '../support/directories.js';
import { oneIn } from '../support/left-out.js';
import { describeWithQemu } from '../support/qemu.js';
import { differencesOf, type DifferenceName } from './parity-differences.js';
import { readBoth } from './parity.js';

/** Fixtures that a command reads otherwise than QEMU. All others are equal byte for byte. */
const EXPECTED: Readonly<Record<string, readonly DifferenceName[]>> = {
  'snapshot -l: aes': ['no-key-needed'],
  'snapshot -l: luks': ['no-key-needed'],
  'snapshot -l: backing-json-name': ['backing-never-opened'],
  'snapshot -l: backing-missing': ['backing-never-opened'],
  'info: qcow-version-1': ['other-formats'],
  'info --output=json: qcow-version-1': ['other-formats'],
  'snapshot -l: qcow-version-1': ['other-formats'],
};

const COMMANDS = [['info'], ['info', '--output=json'], ['snapshot', '-l']];

describeWithQemu('every fixture is shown as qemu-img shows it', () => {
  test.each(oneIn(3, fixtureNames()))('%s', async (name) => {
    const directory = temporaryDirectory();
    copyFixture(name, directory);
    copyCompanions(name, directory);
    for (const command of COMMANDS) {
      const pair = await readBoth([...command, `${name}.qcow2`], directory);
      const expected = EXPECTED[`${command.join(' ')}: ${name}`] ?? [];
      const found = differencesOf(pair);
      expect(found, `${command.join(' ')} ${JSON.stringify(pair)}`).toEqual(expected);
      if (expected.length === 0) expect(pair.ours).toEqual(pair.qemu);
    }
  });

  test('local times in zones with odd offsets and summer time', async () => {
    const directory = temporaryDirectory();
    for (const name of ['dates-extreme', 'five-snapshots']) {
      copyFixture(name, directory);
      for (const TZ of ['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kathmandu', 'EST5EDT']) {
        const argv = ['snapshot', '-l', `${name}.qcow2`];
        const { qemu, ours } = await readBoth(argv, directory, { env: { TZ } });
        expect(ours, `${name} in ${TZ}`).toEqual(qemu);
      }
    }
  });
});
