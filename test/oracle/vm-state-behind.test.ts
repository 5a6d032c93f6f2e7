/** VM state that no entry of the snapshot table tells of, as qemu-img leaves it: `-a` puts it into the active L1. */
import { createHash } from 'node:crypto';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { beforeEach, expect, test } from 'vitest';
import { findVmState, openImage } from '../../src/index.js';
import { memoryDevice } from '../../src/io/memory.js';
import { temporaryDirectory } from '../support/directories.js';
import { copyFixture, loadFixture } from '../support/fixture.js';
import { check, describeWithQemu, qemuImg } from '../support/qemu.js';
import { parsed, qsnap } from '../cli/qsnap/harness.js';

const CLUSTER = 65_536;
/** Clusters with data of the fixture's VM state. */
const CLUSTERS = 3;

/** What QEMU reads of the disks of an image, by their names. */
async function contentsOf(image: string): Promise<Readonly<Record<string, string>>> {
  const raw = `${image}.raw`;
  const { snapshots } = await openImage(memoryDevice(readFileSync(image)));
  const digests: Record<string, string> = {};
  for (const name of [undefined, ...snapshots.map((one) => one.name)]) {
    const choice = name === undefined ? [] : ['-l', `snapshot.name=${name}`];
    await qemuImg(['convert', ...choice, '-O', 'raw', image, raw]);
    digests[name ?? ''] = createHash('sha256').update(readFileSync(raw)).digest('hex');
  }
  return digests;
}

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
    const copy = `${image}.copy`;
    copyFileSync(image, copy);
    const { code, stdout } = await qsnap(['delete', image, 'booted']);
    expect({ code, lines: stdout.split('\n').slice(-3) }).toEqual({
      code: 0,
      lines: [staying, '`qsnap strip` takes it out.', ''],
    });
    expect(stdout).not.toContain('the active disk');
    expect((await qsnap(['delete', image, 'inherits'])).stdout).not.toContain('Memory');
    expect((await check(image)).code).toBe(0);
    const told = [
      {
        disk: 'snapshot',
        'snapshot-id': '4',
        'snapshot-name': 'inherits',
        bytes: CLUSTERS * CLUSTER,
      },
    ];
    const planned = await qsnap(['delete', '--json', '--dry-run', copy, 'booted']);
    expect(parsed('edit', planned.stdout)).toMatchObject({ 'staying-vm-state': told });
    const pruned = await qsnap([
      'prune',
      '--json',
      '--yes',
      '--name',
      'booted',
      '--keep-last',
      '0',
      copy,
    ]);
    expect(parsed('prune', pruned.stdout)).toMatchObject({
      images: [{ edit: { 'staying-vm-state': told } }],
    });
    expect((await check(copy)).code).toBe(0);
    const left = await findVmState(await openImage(memoryDevice(readFileSync(image))));
    expect(left.map(({ snapshot, behindBytes }) => [snapshot?.name, behindBytes])).toEqual([
      ['running', 0],
    ]);
  });

  // Only deletes of one image said so.
  test('a deletion from a group says so of each image', async () => {
    const other = copyFixture('vm-state', temporaryDirectory());
    const group = ['--group', image, other];
    const line = 'Memory of a guest stays in the image: snapshot 4 "inherits" maps 192 KiB';
    const told = { disk: 'snapshot', 'snapshot-id': '4', 'snapshot-name': 'inherits' };
    const images = [
      { 'staying-vm-state': [{ ...told, bytes: CLUSTERS * CLUSTER }] },
      { 'staying-vm-state': [] },
    ];
    expect(await qsnap(['apply', image, 'inherits'])).toMatchObject({ code: 0 });
    const dry = await qsnap(['delete', '--dry-run', 'booted', ...group]);
    expect(dry.stdout.split('\n').filter((text) => text.startsWith(line))).toHaveLength(1);
    const planned = await qsnap(['delete', '--dry-run', '--json', 'booted', ...group]);
    expect(parsed('group-edit', planned.stdout)).toMatchObject({ images });
    const copies = [image, other].map((file) => `${file}.copy`);
    for (const copy of copies) copyFileSync(copy.replace(/\.copy$/, ''), copy);
    const { code, stdout } = await qsnap(['delete', 'booted', ...group]);
    expect(code).toBe(0);
    expect(stdout.split('\n').filter((text) => text.startsWith(line))).toHaveLength(1);
    expect(stdout).toContain('`qsnap strip` takes it out.');
    const done = await qsnap(['delete', '--json', 'booted', '--group', ...copies]);
    expect(parsed('group-edit', done.stdout)).toMatchObject({ images });
    const created = await qsnap(['create', '--json', 'new', ...group]);
    expect(created.stdout).not.toContain('staying-vm-state');
    for (const file of [image, other, ...copies]) expect((await check(file)).code).toBe(0);
  });

  test('strip takes it out: QEMU reads what it read before, and the VM state that entries tell of stays', async () => {
    const before = await contentsOf(image);
    const stream = await qsnap(['hash', image]);
    const dry = await qsnap(['strip', '--dry-run', image]);
    expect(dry.stdout).toContain(
      'Would take VM state out of the active disk, snapshot 4 "inherits".',
    );
    expect(await contentsOf(image)).toEqual(before);
    const { code, stdout } = await qsnap(['strip', image]);
    expect({ code, first: stdout.split('\n')[0] }).toEqual({
      code: 0,
      first: `Took VM state out of the active disk and snapshot 4 "inherits" of ${image}; freed nothing.`,
    });
    expect((await check(image)).code).toBe(0);
    expect(await contentsOf(image)).toEqual(before);
    expect((await qsnap(['hash', image])).stdout).toBe(stream.stdout);
    const left = await findVmState(await openImage(memoryDevice(readFileSync(image))));
    expect(left.map(({ snapshot, behindBytes }) => [snapshot?.name, behindBytes])).toEqual([
      ['booted', 0],
      ['running', 0],
    ]);
    expect((await qsnap(['strip', image])).stdout).toBe(
      `${image}: no VM state was there that no entry tells of.\n`,
    );
    expect((await qsnap(['delete', image, 'booted'])).stdout).not.toContain('Memory');
  });

  test('strip --whole leaves the disk of a snapshot alone, which QEMU then has without VM state', async () => {
    const before = await contentsOf(image);
    const { code, stdout } = await qsnap([
      'strip',
      '--whole',
      '--verify',
      image,
      'running',
      'booted',
    ]);
    expect(code).toBe(0);
    expect(stdout).toContain(`Took VM state out of 2 snapshots of ${image}; freed `);
    // That of one of them is the active disk's, too.
    expect(stdout).toContain('Memory of a guest stays in the image: the active disk maps 192 KiB');
    expect(stdout).toContain('snapshot 4 "inherits" maps 192 KiB');
    expect((await check(image)).code).toBe(0);
    expect(await contentsOf(image)).toEqual(before);
    const { stdout: listed } = await qemuImg(['snapshot', '-l', image]);
    expect(listed).toMatch(/booted +0 B/);
    expect(listed).toMatch(/running +0 B/);
    expect(await qsnap(['strip', image])).toMatchObject({ code: 0 });
    expect(await findVmState(await openImage(memoryDevice(readFileSync(image))))).toEqual([]);
    expect((await qsnap(['strip', '--whole', image, 'running'])).stdout).toBe(
      `${image}: no VM state was there.\n`,
    );
  });

  test('strip --whole wants names', async () => {
    const { code, stderr } = await qsnap(['strip', '--whole', image]);
    expect(code).toBe(1);
    expect(stderr).toContain("'--whole' needs snapshots");
    expect((await check(image)).code).toBe(0);
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
