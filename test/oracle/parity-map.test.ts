/** `qsnap-img map` prints what `qemu-img map` prints. */
import { expect, test } from 'vitest';
import { copyCompanions, copyFixture, fixtureNames, recipe } from '../support/fixture.js';
import { describeWithQemu, temporaryDirectory } from '../support/qemu.js';
import { readBoth } from './parity.js';

/** A qcow image of version 1 is a format of its own. */
const READABLE = fixtureNames().filter((name) => name !== 'qcow-version-1');

describeWithQemu('map of every fixture', () => {
  test.each(READABLE)('%s', async (name) => {
    const directory = temporaryDirectory();
    copyFixture(name, directory);
    copyCompanions(name, directory);
    const { secret } = recipe(name);
    const file = `${name}.qcow2`;
    const withKey =
      secret === undefined
        ? []
        : [
            '--object',
            `secret,id=key,data=${secret}`,
            '--image-opts',
            `driver=qcow2,file.filename=${file},encrypt.key-secret=key`,
          ];
    for (const argv of [
      ['map'],
      ['map', '--output=json'],
      ['map', '-U', '-s', '5000', '-l', '100k'],
    ]) {
      for (const operand of [[file], ...(withKey.length > 0 ? [withKey] : [])]) {
        const { qemu, ours } = await readBoth([...argv, ...operand], directory);
        expect(ours, `${argv.join(' ')} ${name}`).toEqual(qemu);
      }
    }
  });
});
