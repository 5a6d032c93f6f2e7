/**
 * Two copies of one image: qsnap edits the first, qemu-img the second, and QEMU's guest writes the
 * same to both. Whatever QEMU can see of them has to stay the same.
 */
import { copyFileSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import {
  executePlan,
  openGuestDisk,
  openImage,
  type EditPlan,
  type GuestDisk,
  type OpenImage,
  type Snapshot,
} from '../../src/index.js';
import {
  fileGate,
  nodeCryptography,
  nodeDecompressor,
  openFileForEdit,
} from '../../src/node/index.js';
import { checkImage } from './image-builder.js';
import { createArgument, diskBytesOf, CLUSTER_BYTES, type ImageOptions } from './model-options.js';
import type { Random } from './model-random.js';
import { qemuImg, type ToolResult } from './qemu.js';
import { runProgram, SHELLS_OWN } from './tool-shell.js';
import type { BlockDevice } from '../../src/io/device.js';

/** What images are encrypted with. */
export const PASSPHRASE = 'open sesame';
const SECRET = ['--object', `secret,id=sec0,data=${PASSPHRASE}`];
/** Up to this size the plain checker looks too; larger images take it too long. */
const PLAIN_CHECK_BYTES = 6 * 2 ** 20;

export interface Twins {
  readonly directory: string;
  readonly options: ImageOptions;
  readonly ours: string;
  readonly theirs: string;
}

/** An image by QEMU, and a copy of it: the same key, the same bytes. */
export async function makeTwins(
  directory: string,
  options: ImageOptions,
  random: Random,
): Promise<Twins> {
  const [ours, theirs] = ['ours.qcow2', 'theirs.qcow2'].map((file) => path.join(directory, file));
  const args = ['create', '-q', ...SECRET, '-f', 'qcow2', '-o', createArgument(options)];
  if (options.backing) {
    writeFileSync(path.join(directory, 'base.raw'), halfRandom(random, diskBytesOf(options) / 2));
    args.push('-b', path.join(directory, 'base.raw'), '-F', 'raw');
  }
  await qemuImg([...args, ours!, String(diskBytesOf(options))]);
  if (options.bitmaps) {
    await qemuImg(['bitmap', '--add', ...SECRET, '--image-opts', opened(options, ours!), 'daily']);
  }
  writeFileSync(path.join(directory, 'pattern.bin'), halfRandom(random, 2 * 2 ** 20));
  copyFileSync(ours!, theirs!);
  return { directory, options, ours: ours!, theirs: theirs! };
}

/** Bytes that compress to about a half: sectors of noise and sectors of one byte. */
function halfRandom(random: Random, length: number): Uint8Array {
  const bytes = new Uint8Array(Math.floor(length / 512) * 512);
  for (let at = 0; at < bytes.length; at += 512) {
    const sector = bytes.subarray(at, at + 512);
    if (random.chance(0.5)) sector.fill(random.below(256));
    else for (let i = 0; i < 512; i++) sector[i] = random.below(256);
  }
  return bytes;
}

/** How QEMU's tools open an image of these options. */
export function opened(options: ImageOptions, file: string): string {
  const key = options.encryption === 'none' ? '' : ',encrypt.key-secret=sec0';
  return `driver=qcow2,discard=unmap,file.filename=${file}${key}`;
}

/** Opens a disk of an image of any options for reading. */
export function openDisk(image: OpenImage, snapshot: Snapshot | undefined): Promise<GuestDisk> {
  return openGuestDisk(image, {
    snapshot,
    decompressor: nodeDecompressor(),
    cryptography: nodeCryptography(),
    passphrase: new TextEncoder().encode(PASSPHRASE),
    gate: fileGate(),
  });
}

/** A qemu-img subcommand on one image; options before the image, operands after it. */
export function onImage(
  { options }: Twins,
  file: string,
  args: readonly string[],
  operands: readonly string[] = [],
): Promise<ToolResult> {
  const all = [...args, ...SECRET, '--image-opts', opened(options, file), ...operands];
  return qemuImg(all, { okCodes: 'any' });
}

/** The same on their copy, which stays as it was where QEMU fails: half-way it may leave marks. */
export async function triedByThem(
  twins: Twins,
  args: readonly string[],
  operands: readonly string[] = [],
): Promise<ToolResult> {
  const before = path.join(twins.directory, 'before.qcow2');
  copyFileSync(twins.theirs, before);
  const result = await onImage(twins, twins.theirs, args, operands);
  if (result.code !== 0) copyFileSync(before, twins.theirs);
  return result;
}

/** Guest commands on both copies; QEMU has to answer the same for both. */
export async function guest(twins: Twins, commands: readonly string[]): Promise<void> {
  const [ours, theirs] = await Promise.all(
    [twins.ours, twins.theirs].map((file) => qemuIoWithKey(twins, file, commands)),
  );
  expect(ours!.code, `qemu-io ${commands.join('; ')}: ${ours!.stderr}`).toBe(theirs!.code);
}

/** qemu-io that is given the key and lets discards through. */
export async function qemuIoWithKey(
  { options, directory }: Twins,
  file: string,
  commands: readonly string[],
): Promise<{ code: number; stderr: string }> {
  const args = [...commands.flatMap((command) => ['-c', command]), ...SECRET, '--image-opts'];
  const all = [...args, opened(options, file)];
  const ended = await runProgram({ program: 'qemu-io', args: all, cwd: directory, env: {} });
  if (ended.code >= SHELLS_OWN) throw new Error(`qemu-io was ended: ${ended.stdout.toString()}`);
  return { code: ended.code, stderr: ended.stderr.toString() };
}

/** Commands of one guest session: writes, zeros, discards and compressed writes. */
export function guestCommands(
  random: Random,
  options: ImageOptions,
  diskBytes: number,
): readonly string[] {
  const cluster = CLUSTER_BYTES[options.cluster];
  const commands: string[] = [];
  for (let i = 2 + random.below(5); i > 0; i--) {
    const longest = Math.min(diskBytes, 2 ** 21, cluster * random.pick([1, 2, 5]));
    const bytes = 512 * (1 + random.below(longest / 512));
    const at = 512 * random.below((diskBytes - bytes) / 512 + 1);
    const range = `${at} ${bytes}`;
    const whole = Math.floor(random.below(diskBytes - cluster) / cluster) * cluster;
    const kinds = [
      [`write -P ${1 + random.below(255)} ${range}`],
      [`write -P ${1 + random.below(255)} ${range}`],
      [`write -q -s pattern.bin ${range}`],
      [`write -z ${range}`],
      [`write -z -u ${range}`],
      [`discard ${range}`],
      [`discard ${whole} ${cluster}`],
    ];
    if (options.encryption === 'none') {
      const packed = `write -c -s pattern.bin ${whole} ${cluster}`;
      kinds.push([`discard ${whole} ${cluster}`, packed], [packed]);
    }
    commands.push(...random.pick(kinds));
  }
  return commands;
}

/** Opens our copy, plans, executes, closes. */
export async function edit(
  file: string,
  plan: (image: OpenImage<BlockDevice>) => Promise<EditPlan<BlockDevice>>,
): Promise<EditPlan> {
  const device = await openFileForEdit(file);
  try {
    const made = await plan(await openImage(device));
    await executePlan(made);
    return made;
  } finally {
    await device.close();
  }
}

/** What `qemu-img snapshot -l` shows of each snapshot, its date aside: id, tag and VM size. */
export async function listed(twins: Twins, file: string): Promise<readonly string[]> {
  const { stdout, code } = await onImage(twins, file, ['snapshot', '-l']);
  expect(code).toBe(0);
  const rows = stdout.split('\n').slice(2);
  return rows.flatMap((row) => {
    const cells = /^(\S+)\s+(\S+)\s+(\S+ \S+)\s/.exec(row);
    return cells === null ? [] : [`${cells[1]} ${cells[2]} ${cells[3]}`];
  });
}

/** What QEMU finds wrong with an image: nothing. */
export async function expectSound(twins: Twins, file: string): Promise<void> {
  const { code, stdout, stderr } = await onImage(twins, file, ['check']);
  expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: '' });
  if (statSync(file).size > PLAIN_CHECK_BYTES) return;
  expect(checkImage(readFileSync(file))).toEqual({ corruptions: [], leaks: [] });
}

/** Byte for byte the same guest disk. */
export async function expectSameDisk({ options, ours, theirs }: Twins): Promise<void> {
  await expectSame(opened(options, ours), opened(options, theirs));
}

/** The same content in what two option strings open. */
async function expectSame(a: string, b: string): Promise<void> {
  const args = ['compare', ...SECRET, '--image-opts', a, b];
  const { code, stdout, stderr } = await qemuImg(args, { okCodes: 'any' });
  expect({ code, stdout: stdout.trim(), stderr }).toEqual({
    code: 0,
    stdout: 'Images are identical.',
    stderr: '',
  });
}

/** The same content in every snapshot. */
export async function expectSameSnapshots(twins: Twins, ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    const [ours, theirs] = await Promise.all(
      [twins.ours, twins.theirs].map((file, i) => {
        return withSnapshot(twins, file, id, path.join(twins.directory, `copy${i}.img`));
      }),
    );
    await expectSame(ours!, theirs!);
  }
}

/** Puts a snapshot's disk into the file `copy`; returns the option string that opens it. */
async function withSnapshot(twins: Twins, from: string, id: string, copy: string): Promise<string> {
  const { options } = twins;
  copyFileSync(from, copy);
  if (options.bitmaps) await onImage(twins, copy, ['bitmap', '--remove'], ['daily']);
  const { code, stderr } = await onImage(twins, copy, ['snapshot', '-a', id]);
  if (code === 0) return opened(options, copy);
  // QEMU counts up before it counts down: narrow refcounts may have no room to apply.
  expect(options.refcountBits, stderr).toBeLessThanOrEqual(4);
  rmSync(copy);
  const source = [...SECRET, '--image-opts', opened(options, from), '-l', `snapshot.id=${id}`];
  await qemuImg(['convert', ...source, '-O', 'raw', copy]);
  return `driver=raw,file.filename=${copy}`;
}
