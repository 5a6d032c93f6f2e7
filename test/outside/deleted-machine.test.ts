/**
 * A saved machine that a running one deleted from a disk that discards nothing: a scan finds its disk and its VM state, while
 * the machine runs and afterwards, and both come back as they were. QEMU loads it from the copy.
 */
import { copyFileSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { parsed, qsnap } from '../cli/qsnap/harness.js';
import { memoryDirectory } from '../support/directories.js';
import { layoutOf, readGuest, snapshotsOf } from '../support/image-builder.js';
import { describeUnless } from '../support/left-out.js';
import { expectClean, qemuImg, snapshotList } from '../support/qemu.js';
import { registersIn } from '../support/vm-judges.js';
import { bootableImage, lackOfFirmware, Machine } from '../support/vm-machines.js';

const SHAPES = {
  'clusters of 64 KiB': 'cluster_size=64k',
  'clusters of 4 KiB': 'cluster_size=4k',
  'extended L2': 'extended_l2=on,cluster_size=16k',
};

/** The file's node has no `discard`, as it is unless somebody says more: what is freed stays where it was. */
function machineWith(image: string, ...more: readonly string[]): Machine {
  const machine = new Machine([
    ...['-M', 'pc', '-m', '32', '-vga', 'std', ...more],
    ...['-blockdev', `driver=file,filename=${image},node-name=file`],
    ...['-blockdev', 'driver=qcow2,file=file,node-name=disk'],
    ...['-device', 'virtio-blk-pci,drive=disk,id=dev,bootindex=0'],
  ]);
  onTestFinished(() => machine.end());
  return machine;
}

interface Deleted {
  readonly machine: Machine;
  readonly image: string;
  /** The image when the snapshot had just been made. */
  readonly before: string;
  /** Of the machine then. */
  readonly registers: string;
}

/** Saves a machine as `a` and, after writes, as `b`; after more writes `a` is deleted. The machine stays there, stopped. */
async function deletedByMachine(folder: string, shape: string): Promise<Deleted> {
  const image = await bootableImage(folder, shape);
  const before = path.join(folder, 'before.qcow2');
  const machine = machineWith(image);
  const write = (pattern: string): Promise<void> => {
    return machine.tell(
      `qemu-io -d /machine/peripheral/dev/virtio-backend "write -q -P ${pattern}"`,
    );
  };
  await machine.untilHalted();
  await machine.run('stop');
  const registers = await machine.monitor('info registers -a');
  await write('0x11 64k 300k');
  await machine.tell('savevm a');
  copyFileSync(image, before);
  await write('0x22 128k 256k');
  // Its clocks go on.
  await machine.run('cont');
  await wait(100);
  await machine.run('stop');
  await machine.tell('savevm b');
  await write('0x33 256k 512k');
  await machine.tell('delvm a');
  return { machine, image, before, registers };
}

/** What QEMU reads of a disk. */
async function diskOf(image: string, snapshot?: string): Promise<Buffer> {
  const raw = `${image}.raw`;
  const which = snapshot === undefined ? [] : ['-l', `snapshot.name=${snapshot}`];
  await qemuImg(['convert', ...which, '-O', 'raw', image, raw]);
  return readFileSync(raw);
}

/** The VM state of a snapshot, through its L1 table by code of the tests' own. */
function streamOf(image: string, name: string): Buffer {
  const bytes = readFileSync(image);
  const { clusterBytes, extendedL2 } = layoutOf(bytes);
  const coverage = (clusterBytes / (extendedL2 ? 16 : 8)) * clusterBytes;
  const { l1At, l1Entries, diskSizeBytes, vmStateBytes } = snapshotsOf(bytes).snapshots.find(
    (one) => one.name === name,
  )!;
  const at = Math.ceil(diskSizeBytes / coverage) * coverage;
  const end = at + Number(vmStateBytes);
  return Buffer.from(readGuest(bytes, { l1At, l1Entries, diskSizeBytes: end }).subarray(at));
}

interface Found {
  readonly number: number;
  readonly kind: string;
  readonly plausibility: number;
  readonly snapshot?: { readonly name: string; readonly 'vm-state-size': number };
}

async function scanned(image: string, ...flags: readonly string[]): Promise<readonly Found[]> {
  const { code, stdout } = await qsnap([...flags, '--json', 'scan', image]);
  expect(code).toBe(0);
  return (parsed('scan', stdout) as { candidates: readonly Found[] }).candidates;
}

const namedA = (found: readonly Found[]): Found | undefined =>
  found.find(({ snapshot }) => snapshot?.name === 'a');

describeUnless(
  lackOfFirmware(),
  'QSNAP_REQUIRE_MACHINES',
  'a saved machine that was deleted',
  () => {
    test.each(Object.entries(SHAPES))('%s', { timeout: 300_000 }, async (_, shape) => {
      const folder = memoryDirectory();
      const { machine, image, before, registers } = await deletedByMachine(folder, shape);
      const [disk, stream] = [await diskOf(before, 'a'), streamOf(before, 'a')];
      expect(stream.length).toBeGreaterThan(500_000);
      expect((await qsnap(['scan', image])).stderr).toContain('is in use by');
      const whileRunning = namedA(await scanned(image, '-U'));
      expect(whileRunning?.snapshot).toMatchObject({ 'vm-state-size': stream.length });
      await machine.quit();

      const found = await scanned(image);
      const candidate = namedA(found);
      expect(candidate?.plausibility).toBeGreaterThan(80);
      expect(found.filter(({ kind }) => kind === 'vm-state')).toHaveLength(1);
      const raw = path.join(folder, 'a.raw');
      const number = String(candidate!.number);
      const kept = readFileSync(image);
      const toDisk = await qsnap(['recover', image, '--candidate', number, '-o', raw]);
      expect([0, 2], toDisk.stderr).toContain(toDisk.code);
      expect(readFileSync(raw).equals(disk)).toBe(true);

      const copy = path.join(folder, 'copy.qcow2');
      const toCopy = await qsnap(['recover', image, '--candidate', number, '--into', copy]);
      expect([0, 2], toCopy.stderr).toContain(toCopy.code);
      expect(readFileSync(image).equals(kept)).toBe(true);
      expect((await snapshotList(copy)).map(({ name }) => name).sort()).toEqual(['a', 'b']);
      expect(streamOf(copy, 'a').equals(stream)).toBe(true);
      expect(streamOf(copy, 'b').equals(streamOf(image, 'b'))).toBe(true);
      expect((await diskOf(copy, 'a')).equals(disk)).toBe(true);
      expect((await diskOf(copy, 'b')).equals(await diskOf(image, 'b'))).toBe(true);
      expect((await diskOf(copy)).equals(await diskOf(image))).toBe(true);

      const again = machineWith(copy, '-loadvm', 'a', '-S');
      expect(registersIn(await again.monitor('info registers -a'))).toEqual(registersIn(registers));
      await again.quit();
      await expectClean(copy);
    });
  },
);
