/**
 * Images with an external data file: the damages of QEMU's own tests to their tables and refcounts. What QEMU
 * mends a repair by qsnap mends, and the disk that QEMU reads through the mended tables is the one from before.
 * The data file, raw or not, is never written to.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { checkImage, executePlan, memoryDevice, proposeRepair } from '../../src/index.js';
import { errorsByQemu, mendByQemu } from '../damage/subjects.js';
import { patientOf } from '../support/damage.js';
import { memoryDirectory } from '../support/directories.js';
import { makeImage } from '../support/made-images.js';
import { describeWithQemu, expectIdentical, qemuImg } from '../support/qemu.js';
import { leaveOut, oneIn } from '../support/left-out.js';
import { SUITE_DAMAGES } from '../support/suite-damages.js';

const SHAPES = {
  'a data file': '',
  'a raw data file': ',data_file_raw=on',
  'a data file and subclusters': ',extended_l2=on',
} as const;

const CLASSES = ['all', 'leaks', 'unreadable'] as const;

/** What changes no place that an L2 entry names in the data file, which qcow2 says nothing about. */
const DAMAGES = Object.entries(SUITE_DAMAGES).filter(
  ([name, { givesUp, findings }]) =>
    givesUp === undefined &&
    findings === undefined &&
    !/^(an L2 entry|data |a zero cluster)/.test(name),
);

describeWithQemu('images with an external data file', () => {
  describe.each(Object.entries(SHAPES))('%s', (shape, options) => {
    const row = Object.keys(SHAPES).indexOf(shape);
    const folder = memoryDirectory();
    const [image, disk, data] = ['image.qcow2', 'disk.raw', 'data.raw'].map((name) =>
      join(folder, name),
    ) as [string, string, string];
    let sound: Uint8Array;
    let dataBefore: Buffer;

    beforeAll(async () => {
      const asked = `data_file=${data}${options}`;
      // The first cluster of the disk lies at 0 in the data file, others not where the disk has them.
      const writes = ['write -P 6 2M 64k', 'write -P 5 0 256k', 'write -z 3M 64k'];
      await makeImage(image, '4M', asked, writes);
      await qemuImg(['convert', '-O', 'raw', image, disk]);
      sound = new Uint8Array(readFileSync(image));
      dataBefore = readFileSync(data);
    });

    test.each(oneIn(4, DAMAGES, row))('%s', { timeout: 60_000 }, async (_name, damage) => {
      const bytes = damage.make(patientOf(sound));
      if (bytes === undefined) {
        leaveOut('kinds of damage that an image has no place for');
        return;
      }
      const theirs = await mendByQemu(bytes, image);
      expect(theirs.isUnjudged).toBe(false);
      const device = memoryDevice(bytes);
      const { plan } = await proposeRepair(device, () => ({ classes: [...CLASSES] }));
      if (plan !== undefined) await executePlan(plan);
      writeFileSync(image, device.snapshotBytes());
      expect(readFileSync(data).equals(dataBefore)).toBe(true);
      if (theirs.after.code !== 0) {
        leaveOut('the result by QEMU, where its own repair leaves errors, too');
        return;
      }
      expect(await errorsByQemu(image)).toBeUndefined();
      expect((await checkImage(device)).exitCode).toBe(0);
      await expectIdentical(image, disk, ['-F', 'raw']);
    });
  });
});
