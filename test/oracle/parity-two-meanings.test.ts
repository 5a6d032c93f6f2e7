/**
 * A word that is the id of one snapshot and the name of another. libvirt calls `snapshot -a NAME`, and QEMU takes the
 * id: the wrong disk is reverted, and reported as success.
 */
import { copyFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { memoryDirectory } from '../support/directories.js';
import { describeWithQemu, expectClean, expectIdentical, qemuIo } from '../support/qemu.js';
import { differencesOf } from './parity-differences.js';
import { editBoth, ourOutcome, qemuOutcome, readBoth, type Outcome } from './parity.js';

const FILE = 'disk.qcow2';

let made = '';

/** One image for all tests, since QEMU takes its time. */
function twoSnapshots(at: string): void {
  copyFileSync(path.join(made, FILE), path.join(at, FILE));
}

/** Snapshot 1 is called "2", snapshot 2 "x"; the disk, and what they hold, are bytes of 3, 1 and 2. */
async function makeTwoSnapshots(at: string): Promise<void> {
  const done = async (...argv: string[]): Promise<void> => {
    expect((await qemuOutcome(argv, at)).code, argv.join(' ')).toBe(0);
  };
  const write = (byte: number) => qemuIo(path.join(at, FILE), [`write -P ${byte} 0 64k`]);
  await done('create', '-q', '-f', 'qcow2', FILE, '1M');
  await write(1);
  await done('snapshot', '-c', '2', FILE);
  await write(2);
  await done('snapshot', '-c', 'x', FILE);
  await write(3);
}

const WHICH =
  "'2' is the id of snapshot 2 ('x') and the name of snapshot 1: " +
  'say snapshot.id=2 or snapshot.name=2, or rename one with qsnap\n';

const both = (
  action: readonly string[],
  setUp: (at: string) => void | Promise<void> = twoSnapshots,
) => editBoth(['snapshot', ...action, FILE], memoryDirectory(), setUp);

describeWithQemu('a word with two meanings', () => {
  beforeAll(async () => {
    made = memoryDirectory();
    await makeTwoSnapshots(made);
  });

  test('-a is refused, and the image stays as it was', async () => {
    const pair = await both(['-a', '2']);
    expect(pair.qemu).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(pair.ours).toEqual({
      code: 1,
      stdout: '',
      stderr: `qemu-img: Could not apply snapshot '2': ${WHICH}`,
    });
    expect(differencesOf(pair)).toEqual(['two-meanings-refused']);
    const ours = path.join(pair.ourDirectory, FILE);
    await qemuIo(ours, ['read -P 3 0 64k']);
    await expectClean(ours);
  });

  test('-d means the name alone, in QEMU too', async () => {
    const pair = await both(['-d', '2']);
    expect(pair.ours).toEqual(pair.qemu);
    expect(pair.ours.code).toBe(0);
    await expectClean(path.join(pair.ourDirectory, FILE));
  });

  test.each([
    ['snapshot.id=2', 2],
    ['snapshot.name=2', 1],
    ['snapshot.name=2,snapshot.id=1', 1],
  ])('-a %s says which', async (word, byte) => {
    const pair = await both(['-a', word]);
    expect(differencesOf(pair)).toEqual(['apply-by-keys']);
    expect(pair.ours).toEqual({ code: 0, stdout: '', stderr: '' });
    const ours = path.join(pair.ourDirectory, FILE);
    await qemuIo(ours, [`read -P ${byte} 0 64k`]);
    await expectClean(ours);
  });

  test.each(['snapshot.id=7', 'snapshot.name=2,snapshot.id=2', 'snapshot.id', 'snapshot.old=2'])(
    '-a %s is found by neither tool',
    async (word) => {
      const pair = await both(['-a', word]);
      expect(pair.ours).toEqual(pair.qemu);
      expect(pair.ours.code).toBe(1);
    },
  );

  test('a snapshot that is called as the keys are is meant by them, as in QEMU', async () => {
    const pair = await both(['-a', 'snapshot.id=1'], async (at) => {
      twoSnapshots(at);
      expect((await qemuOutcome(['snapshot', '-c', 'snapshot.id=1', FILE], at)).code).toBe(0);
    });
    expect(pair.ours).toEqual(pair.qemu);
    await qemuIo(path.join(pair.ourDirectory, FILE), ['read -P 3 0 64k']);
  });

  test('-c warns of a name that is an id, and of an id that is a name', async () => {
    const pair = await both(['-c', '1']);
    expect(differencesOf(pair)).toEqual(['two-meanings-warned']);
    const text =
      "qemu-img: warning: '1' is the id of snapshot 1 ('2') and the name of snapshot 3: ";
    expect(pair.ours.stderr.startsWith(text), pair.ours.stderr).toBe(true);
    await expectClean(path.join(pair.ourDirectory, FILE));
    const id = await both(['-c', 'y'], async (at) => {
      twoSnapshots(at);
      expect((await qemuOutcome(['snapshot', '-c', '4', FILE], at)).code).toBe(0);
    });
    expect(id.ours.code).toBe(0);
    expect(id.ours.stderr).toContain("'4' is the id of snapshot 4 ('y') and the name of");
  });

  const reads = (outcome: Outcome) => ({ code: outcome.code, stderr: outcome.stderr });

  test('convert -l and measure -l are refused; by keys they mean one', async () => {
    const at = memoryDirectory();
    twoSnapshots(at);
    const convert = (word: string, out: string) => ['convert', '-O', 'raw', '-l', word, FILE, out];
    const refused = { code: 1, stderr: `qemu-img: Failed to load snapshot: ${WHICH}` };
    const pair = {
      qemu: await qemuOutcome(convert('2', 'theirs'), at),
      ours: await ourOutcome(convert('2', 'ours'), at),
    };
    expect(reads(pair.ours)).toEqual(refused);
    expect(differencesOf(pair)).toEqual(['two-meanings-refused']);
    for (const word of ['snapshot.id=2', 'snapshot.name=2', 'x', '1']) {
      expect(await qemuOutcome(convert(word, 'theirs'), at)).toEqual(
        await ourOutcome(convert(word, 'ours'), at),
      );
      await expectIdentical(path.join(at, 'theirs'), path.join(at, 'ours'), [
        '-f',
        'raw',
        '-F',
        'raw',
      ]);
    }
    const measured = await readBoth(['measure', '-O', 'raw', '-l', '2', FILE], at);
    expect(reads(measured.ours)).toEqual(refused);
    expect(measured.qemu.code).toBe(0);
  });
});
