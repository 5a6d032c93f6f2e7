/**
 * Command lines in which versions of qemu-img differ: qsnap-img prints what the installed one does. For another one
 * `QSNAP_QEMU_IMG` names its program.
 */
import { copyFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { describeWithQemu, qemuImg } from '../support/qemu.js';
import { memoryDirectory } from '../support/directories.js';
import { testEqual } from './parity-lines.js';
import { differencesOf } from './parity-differences.js';
import { behaviour, editBoth } from './parity.js';
import { makeVersionFiles, VERSION_LINES } from './version-lines.js';

describeWithQemu('every version', () => {
  const run = (argv: readonly string[]) => editBoth(argv, memoryDirectory(), makeVersionFiles);
  const isUsage = ([command]: readonly string[]): boolean => command === 'measure';
  testEqual(
    VERSION_LINES.filter((argv) => !isUsage(argv) || behaviour().namedOptions),
    run,
  );

  // QEMU printed its help and ended with 0 before: qsnap-img ends with 1, or does what was meant.
  test.each(VERSION_LINES.filter((argv) => isUsage(argv) && !behaviour().namedOptions))(
    'measure %j',
    async (...argv) => {
      const pair = await run(argv);
      expect(['', 'measure-usage']).toContain(differencesOf(pair).join());
      expect(pair.ours.code === 0).toBe(differencesOf(pair).length === 0 && pair.qemu.code === 0);
    },
  );

  test('an image that a key opened has no path as its name', async () => {
    const folder = memoryDirectory();
    const luks = ['encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10'];
    const secret = ['--object', 'secret,id=s,data=pw'];
    const made = path.join(folder, 'made.qcow2');
    await qemuImg(['create', '-q', ...secret, '-f', 'qcow2', '-o', ...luks, made, '1M']);
    const options = 'driver=qcow2,file.filename=disk.qcow2,encrypt.key-secret=s';
    for (const output of ['human', 'json']) {
      const argv = ['info', ...secret, `--output=${output}`, '--image-opts', options];
      const pair = await editBoth(argv, memoryDirectory(), (at) => {
        copyFileSync(made, path.join(at, 'disk.qcow2'));
      });
      expect(pair.ours).toEqual(pair.qemu);
      expect(pair.ours.stdout).toContain('json:{');
    }
  });
});
