/** `rebase -u`: the same words as QEMU's, and an image that QEMU sees alike. */
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { openImage } from '../../src/index.js';
import { memoryDevice } from '../../src/io/memory.js';
import { memoryDirectory } from '../support/directories.js';
import { copyCompanions, copyFixture, fixtureNames } from '../support/fixture.js';
import { oneIn } from '../support/left-out.js';
import { check, describeWithQemu } from '../support/qemu.js';
import { testEqual } from './parity-lines.js';
import { editBoth, madeByBoth, qemuOutcome, type EditedPair } from './parity.js';

const FIXTURES = [
  ...['backing-chain', 'cluster-512', 'version-2', 'five-snapshots', 'everything'],
  ...['data-file', 'data-file-raw'],
];

function setUp(directory: string): void {
  for (const name of FIXTURES) {
    copyFixture(name, directory);
    if (name.startsWith('data-file')) copyCompanions(name, directory);
  }
  writeFileSync(path.join(directory, 'raw'), '');
  truncateSync(path.join(directory, 'raw'), 1024 * 1024);
}

const long = 'n'.repeat(1023);
const LINES: readonly (readonly string[])[] = [
  [],
  ['-u'],
  ['-u', 'backing-chain.qcow2'],
  ['-u', '-f', 'qcow2', 'backing-chain.qcow2'],
  ['-u', '-b', '', 'backing-chain.qcow2'],
  ['-u', '-b', '', '-F', 'raw', 'backing-chain.qcow2'],
  ['-u', '-F', 'raw', 'backing-chain.qcow2'],
  ['-u', '-b', 'other', '-F', 'qcow2', 'backing-chain.qcow2'],
  ['-u', '-b', 'other', '-F', 'raw', '-q', 'backing-chain.qcow2'],
  ['-u', '-b', 'other', '-F', 'vmdk', '-p', 'backing-chain.qcow2'],
  ['-u', '-pq', '-b', 'other', '-F', 'qcow2', 'backing-chain.qcow2'],
  ['-u', '-b', 'other', 'backing-chain.qcow2'],
  ['-u', '-b', 'other', '-F', 'bogus', 'backing-chain.qcow2'],
  ['-u', '-b', long, '-F', 'qcow2', 'five-snapshots.qcow2'],
  ['-u', '-b', `${long}n`, '-F', 'qcow2', 'five-snapshots.qcow2'],
  ['-u', '-b', 'o', '-F', 'qcow2', 'version-2.qcow2'],
  ['-u', '-b', 'o', '-F', 'qcow2', 'cluster-512.qcow2'],
  ['-u', '-b', 'n'.repeat(400), '-F', 'qcow2', 'cluster-512.qcow2'],
  ['-u', '-b', 'other', '-F', 'qcow2', 'everything.qcow2'],
  ['-u', '-b', 'other', '-F', 'qcow2', 'raw'],
  ['-u', '-b', 'other', '-F', 'qcow2', '-f', 'raw', 'raw'],
  ['-u', '-f', 'raw', 'raw'],
  ['-u', '-b', '', '-f', 'raw', 'raw'],
  ['-u', '-U', '-b', 'other', '-F', 'qcow2', 'five-snapshots.qcow2'],
  ['-u', '-t', 'bogus', '-b', 'other', '-F', 'qcow2', 'five-snapshots.qcow2'],
  ['-u', '-T', 'bogus', '-b', 'other', '-F', 'qcow2', 'five-snapshots.qcow2'],
  ['-u', '-t', 'none', '-T', 'none', '-b', 'other', '-F', 'qcow2', 'five-snapshots.qcow2'],
  ['-u', '--image-opts', '-f', 'qcow2', '-b', 'o', 'driver=qcow2,file.filename=x'],
  ['-u', '--image-opts', '-b', 'o', '-F', 'raw', 'driver=qcow2,file.filename=version-2.qcow2'],
  ['-u', '-b', 'o', '-F', 'raw', 'nothing'],
  ['-u', '-b', 'o', '-F', 'raw', 'a', 'b'],
  ['-u', '--backing', 'o', '--backing-format', 'raw', 'five-snapshots.qcow2'],
  ['--backing-unsafe', '-b', 'o', '-F', 'raw', 'five-snapshots.qcow2'],
  ['-u', '-b', 'o', '-B', 'raw', 'five-snapshots.qcow2'],
  ['-u', '-b', 'o', '-F', 'raw', 'data-file.qcow2'],
  ['-u', '-b', 'o', '-F', 'raw', 'data-file-raw.qcow2'],
  ['-u', 'data-file-raw.qcow2'],
  ['-Z'],
  ['--bogus'],
].map((words) => ['rebase', ...words]);

/** What QEMU tells of an image, but for how much room its file takes, and of its tables. */
async function told(image: string): Promise<unknown> {
  const folder = path.dirname(image);
  const info = await qemuOutcome(['info', '-U', path.basename(image)], folder);
  const { code, report } = await check(image).catch(() => ({ code: -1, report: undefined }));
  const counts = { ...report, filename: '', 'image-end-offset': 0 };
  return [info.stdout.replaceAll(/(disk size|file length): .*/g, '$1'), code, counts];
}

async function expectAlike(pair: EditedPair, argv: readonly string[]): Promise<void> {
  for (const name of FIXTURES) {
    const [theirs, ours] = madeByBoth(pair, `${name}.qcow2`);
    if (!argv.some((word) => word.includes(name))) continue;
    expect(await told(ours), argv.join(' ')).toEqual(await told(theirs));
    await expectSameExtensions(ours, theirs);
  }
}

/** Feature names may be of another version, and QEMU writes bitmaps anew elsewhere. */
const REWRITTEN: readonly string[] = ['feature-names', 'bitmaps'];

async function expectSameExtensions(ours: string, theirs: string): Promise<void> {
  const [mine, other] = await Promise.all(
    [ours, theirs].map(async (file) => {
      const { extensions } = await openImage(memoryDevice(readFileSync(file)));
      return extensions
        .map(({ kind, bytes }) => `${kind} ${REWRITTEN.includes(kind) ? '' : String(bytes)}`)
        .sort();
    }),
  );
  expect(mine).toEqual(other);
}

/** QEMU wants a key for what is not encrypted. */
const NO_KEY = new Set(['aes', 'luks']);

describeWithQemu('rebase -u', () => {
  testEqual(LINES, (argv) => editBoth(argv, memoryDirectory(), setUp), expectAlike);

  test.each(oneIn(4, fixtureNames()))('%s', async (name) => {
    for (const [backing, format] of [
      ['base.qcow2', 'qcow2'],
      ['b'.repeat(200), 'raw'],
      ['', 'raw'],
    ] as const) {
      const argv = ['rebase', '-u', '-b', backing, '-F', format, `${name}.qcow2`];
      const pair = await editBoth(argv, memoryDirectory(), (folder) => {
        copyFixture(name, folder);
        if (name.startsWith('data-file')) copyCompanions(name, folder);
      });
      const { qemu, ours } = pair;
      // What no edit may touch is refused here; QEMU goes on with some of it.
      if (ours.code !== 0) continue;
      if (NO_KEY.has(name)) continue;
      expect(qemu.code, qemu.stderr).toBe(0);
      const [theirs, mine] = madeByBoth(pair, `${name}.qcow2`);
      expect(await told(mine)).toEqual(await told(theirs));
    }
  });
});
