/** Deleting snapshots leaves the others, and the active disk, as they were: content and VM state. */
import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import {
  executePlan,
  findSnapshot,
  memoryDevice,
  openImage,
  planApply,
  planCreate,
  planDelete,
  planRename,
  type EditPlan,
  type Image,
  type OpenImage,
} from '../../src/index.js';
import { copyFixture, expectedContents, loadFixture } from '../support/fixture.js';
import { checkImage, layoutOf, readGuest, snapshotsOf } from '../support/image-builder.js';
import { edit } from '../support/model-twin.js';
import { memoryDirectory } from '../support/directories.js';
import { makeImage } from '../support/made-images.js';
import { describeUnless, oneIn } from '../support/left-out.js';
import {
  contentHash,
  describeWithQemu,
  expectClean,
  expectCleanBytes,
  qemuIo,
  snapshotList,
} from '../support/qemu.js';
import type { BlockDevice } from '../../src/io/device.js';

const date = { seconds: 1_700_000_000, nanoseconds: 0 };
const MIDDLE = ['2', '3', '4'];

const optionSets: readonly (readonly [title: string, options: string, write: string])[] = [
  ['version 2', 'compat=0.10', 'write'],
  ['clusters of 512 bytes', 'cluster_size=512', 'write'],
  ['clusters of 2 MiB', 'cluster_size=2M', 'write'],
  ['extended L2', 'extended_l2=on', 'write'],
  ['refcounts of 4 bits', 'refcount_bits=4,cluster_size=4k', 'write'],
  ['refcounts of 64 bits', 'refcount_bits=64,cluster_size=4k', 'write'],
  ['zlib', 'cluster_size=4k', 'write -c'],
  ['zstd', 'compression_type=zstd,cluster_size=64k', 'write -c'],
  ['lazy refcounts', 'lazy_refcounts=on', 'write'],
];

/** Five snapshots in a row by qsnap, QEMU writing between them and after the last. */
async function fiveSnapshots(options: string, write: string): Promise<string> {
  const image = path.join(memoryDirectory(), 'image.qcow2');
  await makeImage(image, '4M', options);
  for (let i = 1; i <= 5; i++) {
    // Each writes a place of its own and one that all share. Compressed data can't be overwritten.
    const shared = write === 'write' ? [`write -P ${i} 0 128k`] : [`discard 0 128k`];
    const own = `${write} -P ${16 * i} ${i * 512}k 192k`;
    await qemuIo(image, [...shared, own, `write -P ${i} 3968k 64k`]);
    await edit(image, (opened) => planCreate(opened, { name: `number ${i}`, date }));
  }
  await qemuIo(image, ['write -P 99 64k 2M', 'write -z 3M 64k']);
  return image;
}

async function hashes(image: string): Promise<readonly string[]> {
  return Promise.all([contentHash(image), contentHash(image, '1'), contentHash(image, '5')]);
}

describeWithQemu('five snapshots in a row, the middle three deleted', () => {
  test.each(oneIn(3, optionSets))('%s', async (_, options, write) => {
    const image = await fiveSnapshots(options, write);
    const before = await hashes(image);
    expect(new Set(before).size).toBe(3);
    const bytes = readFileSync(image);

    const plan = await edit(image, (opened) => planDelete(opened, byIds(opened, MIDDLE)));
    expect(plan.facts.freedBytes).toBeGreaterThan(0);
    expect(await hashes(image)).toEqual(before);
    expect((await snapshotList(image)).map(({ id }) => id)).toEqual(['1', '5']);
    await expectClean(image);

    writeFileSync(image, bytes);
    for (const id of ['3', '2', '4']) {
      await edit(image, (opened) => planDelete(opened, byIds(opened, [id])));
    }
    expect(await hashes(image)).toEqual(before);
    await expectClean(image);
  });
});

function byIds(image: Image, ids: readonly string[]) {
  return ids.map((id) => findSnapshot(image.snapshots, `id:${id}`));
}

const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** By id: hashes of disk and VM state of each snapshot, read through its L1 table alone. */
function states(bytes: Uint8Array): Map<string, { disk: string; vmState: string }> {
  const { clusterBytes, extendedL2 } = layoutOf(bytes);
  const coverage = (clusterBytes / (extendedL2 ? 16 : 8)) * clusterBytes;
  return new Map(
    snapshotsOf(bytes).snapshots.map((snapshot) => {
      const { id, l1At, l1Entries, diskSizeBytes, vmStateBytes } = snapshot;
      const stateAt = Math.ceil(diskSizeBytes / coverage) * coverage;
      const end = stateAt + Number(vmStateBytes);
      const all = readGuest(bytes, { l1At, l1Entries, diskSizeBytes: end });
      const disk = hash(all.subarray(0, diskSizeBytes));
      return [id, { disk, vmState: hash(all.subarray(stateAt)) }];
    }),
  );
}

const MACHINE = 'qemu-system-x86_64';
const vmFixtures = ['vm-state', 'vm-state-v2', 'vm-state-extended-l2'];

describeWithQemu('VM state', () => {
  test.each(vmFixtures)('%s: stays with its snapshot through every operation', async (name) => {
    const original = loadFixture(name);
    const before = states(original);
    for (const { id, sha256, vmState } of expectedContents(name).snapshots) {
      expect(before.get(id)!.disk).toBe(sha256);
      if (vmState !== undefined) expect(before.get(id)!.vmState).toBe(vmState.sha256);
    }
    const plans: ((image: OpenImage<BlockDevice>) => Promise<EditPlan<BlockDevice>>)[] = [
      (image) => planCreate(image, { name: 'new', date }),
      (image) => planApply(image, image.snapshots[0]!, { discardChanges: true }),
      (image) => planRename(image, image.snapshots[0]!, 'renamed'),
      (image) => planDelete(image, image.snapshots.slice(1, 2)),
    ];
    const device = memoryDevice(original);
    for (const plan of plans) {
      await executePlan(await plan(await openImage(device)));
      const bytes = device.snapshotBytes();
      expect(checkImage(bytes)).toEqual({ corruptions: [], leaks: [] });
      await expectCleanBytes(bytes);
      for (const [id, state] of states(bytes)) {
        if (before.has(id)) expect(state, `snapshot ${id}`).toEqual(before.get(id));
      }
    }
  });

  describeUnless(lackOfMachine(), 'QSNAP_REQUIRE_MACHINES', 'a saved machine', () => {
    test('QEMU loads a saved machine after create, apply and delete', async () => {
      const directory = memoryDirectory();
      const image = copyFixture('vm-state', directory);
      // As in the fixture's recipe: a boot ROM of nothing but HLT.
      writeFileSync(path.join(directory, 'rom.bin'), new Uint8Array(65_536).fill(0xf4));
      await edit(image, (opened) => planCreate(opened, { name: 'new', date }));
      await edit(image, (opened) => {
        return planApply(opened, findSnapshot(opened.snapshots, 'booted'), {
          discardChanges: true,
        });
      });
      expect(await wordAt1MiB(image, 'booted')).toBe('0x55667788 0x11223344');
      expect(await wordAt1MiB(image, 'running')).toBe('0xddeeff00 0x99aabbcc');
      // QEMU puts new VM state behind the L1 table that the apply left.
      await monitor(image, 'running', ['savevm later']);
      await expectClean(image);
      expect(await wordAt1MiB(image, 'booted')).toBe('0x55667788 0x11223344');
      await edit(image, (opened) => planDelete(opened, [findSnapshot(opened.snapshots, 'booted')]));
      expect(await wordAt1MiB(image, 'later')).toBe('0xddeeff00 0x99aabbcc');
      expect(await wordAt1MiB(image, 'running')).toBe('0xddeeff00 0x99aabbcc');
      await expectClean(image);
    });
  });
});

/** Why no machine can be run here. */
function lackOfMachine(): string | undefined {
  const { status } = spawnSync(MACHINE, ['--version'], { stdio: 'ignore' });
  return status === 0 ? undefined : `${MACHINE} is not installed (Debian: qemu-system-x86)`;
}

/** Loads a saved machine without running it and gives its known word. */
async function wordAt1MiB(image: string, snapshot: string): Promise<string> {
  const output = await monitor(image, snapshot, ['xp /2xw 0x100000']);
  return /0000000000100000: (\S+ \S+)/.exec(output)?.[1] ?? output;
}

/** Loads a saved machine without running it, gives commands to QEMU's monitor and quits. */
function monitor(image: string, snapshot: string, commands: readonly string[]): Promise<string> {
  const args = [
    ...['-machine', 'pc,accel=tcg', '-m', '2', '-nodefaults', '-no-acpi', '-display', 'none'],
    ...['-monitor', 'stdio', '-global', 'apic-common.vapic=off', '-bios', 'rom.bin', '-S'],
    ...['-drive', `file=${image},format=qcow2,if=none,id=disk`, '-device', 'virtio-blk,drive=disk'],
    ...['-loadvm', snapshot],
  ];
  return new Promise((resolve, reject) => {
    const settings = { cwd: path.dirname(image), timeout: 30_000 };
    const child = execFile('qemu-system-x86_64', args, settings, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${error.message}\n${stdout}${stderr}`));
    });
    child.stdin!.end([...commands, 'quit', ''].join('\n'));
  });
}
