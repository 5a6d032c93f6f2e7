/** VM state that no entry of the snapshot table tells of, as qemu-img leaves it: `-a` puts it into the active L1. */
import { writeFileSync, readFileSync } from 'node:fs';
import { beforeEach, expect, test } from 'vitest';
import { findVmState, openImage } from '../../src/index.js';
import { memoryDevice } from '../../src/io/memory.js';
import { temporaryDirectory } from '../support/directories.js';
import { copyFixture, loadFixture } from '../support/fixture.js';
import { check, describeWithQemu, qemuImg } from '../support/qemu.js';
import { qsnap } from '../cli/qsnap/harness.js';

const CLUSTER = 65_536;
/** Clusters with data of the fixture's VM state. */
const CLUSTERS = 3;

describeWithQemu('VM state that lives on', () => {
  let image: string;
  beforeEach(async () => {
    image = copyFixture('vm-state', temporaryDirectory());
    await qemuImg(['snapshot', '-a', 'booted', image]);
    await qemuImg(['snapshot', '-c', 'inherits', image]);
  });

  test('is told of the snapshot that inherits it, and of the active disk', async () => {
    const opened = await openImage(memoryDevice(readFileSync(image)));
    const all = CLUSTERS * CLUSTER;
    expect(
      (await findVmState(opened)).map(({ snapshot, dataBytes, behindBytes }) => {
        return [snapshot?.name, dataBytes, behindBytes];
      }),
    ).toEqual([
      [undefined, all, all],
      ['booted', all, 0],
      ['running', all, 0],
      ['inherits', all, all],
    ]);
    const { stdout } = await qsnap(['check', image]);
    expect(stdout).toContain(`the active L1 maps VM state behind the disk: ${all} bytes with data`);
    expect(stdout).toMatch(/snapshot \d \(id "4", "inherits"\) maps VM state behind the 0 bytes/);
    const shown = await qsnap(['show', image, 'inherits']);
    expect(shown.stdout).toMatch(/VM state behind it +192 KiB \(196608 bytes\) with data/);
    expect((await qsnap(['show', image, 'booted'])).stdout).not.toContain('behind it');
    const audited = await qsnap(['audit', '--profile', 'untrusted-upload', image]);
    expect(audited.stdout).toContain('QS1102 vm-state: snapshot 4 "inherits" maps VM state');
    expect(audited.stdout).toContain('QS1102 vm-state: the active disk maps VM state');
  });

  test('a deletion of its snapshot says so, and another does not', async () => {
    const dry = await qsnap(['delete', '--dry-run', image, 'booted']);
    const staying =
      'Memory of a guest stays in the image: snapshot 4 "inherits" maps 192 KiB (196608 bytes) of VM state that no entry tells of.';
    expect(dry.stdout).toContain(staying);
    expect(await qsnap(['apply', image, 'inherits'])).toMatchObject({ code: 0 });
    const { code, stdout } = await qsnap(['delete', image, 'booted']);
    expect({ code, last: stdout.split('\n').at(-2) }).toEqual({ code: 0, last: staying });
    expect(stdout).not.toContain('the active disk');
    expect((await qsnap(['delete', image, 'inherits'])).stdout).not.toContain('Memory');
    expect((await check(image)).code).toBe(0);
    const left = await findVmState(await openImage(memoryDevice(readFileSync(image))));
    expect(left.map(({ snapshot, behindBytes }) => [snapshot?.name, behindBytes])).toEqual([
      ['running', 0],
    ]);
  });

  test.each([
    [3 * CLUSTER, 0],
    [2 * CLUSTER + 1, 0],
    [2 * CLUSTER, 1],
    [1, 2],
    [0, 3],
  ])(
    'of %i bytes that are told, what is behind their last cluster counts',
    async (told, behind) => {
      const bytes = loadFixture('vm-state');
      const snapshots = (await openImage(memoryDevice(bytes))).snapshots;
      const { at } = snapshots.find(({ vmStateBytes }) => vmStateBytes > 0)!;
      new DataView(bytes.buffer).setUint32(at + 32, told);
      new DataView(bytes.buffer).setBigUint64(at + 40, BigInt(told));
      const opened = await openImage(memoryDevice(bytes));
      const [found] = await findVmState(opened, opened.snapshots.slice(0, 1));
      expect(found).toMatchObject({ dataBytes: 3 * CLUSTER, behindBytes: behind * CLUSTER });
      writeFileSync(image, bytes);
      expect((await check(image)).code).toBe(0);
    },
  );
});
