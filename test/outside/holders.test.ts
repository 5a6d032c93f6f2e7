/**
 * Images that a program of QEMU has open, a running machine too: every edit refuses and says who it
 * is; reads refuse or share as qemu-img does, command by command. `QSNAP_THOROUGH=1` tries all
 * commands on all holders; a plain run tries a third of them on each, all in all.
 */
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { parsed, qsnap } from '../cli/qsnap/harness.js';
import { ourOutcome, qemuOutcome } from '../oracle/parity.js';
import { copyFixture } from '../support/fixture.js';
import { describeHolders, endHolders, hold, type Holder } from '../support/outside-holders.js';
import { THINNER } from '../support/left-out.js';
import { temporaryDirectory } from '../support/directories.js';
import { expectClean, qemuAvailable } from '../support/qemu.js';

let folder = '';
let image = '';
let original: Buffer;
let undoFile = '';

beforeEach(() => {
  if (!qemuAvailable) return;
  folder = temporaryDirectory();
  image = copyFixture('five-snapshots', folder);
  original = readFileSync(image);
  copyFileSync(image, path.join(folder, 'other.qcow2'));
  undoFile = path.join(folder, 'undo');
  writeFileSync(undoFile, 'an undo file is looked at when the image is locked');
});
afterEach(endHolders);

const IS_THOROUGH = process.env['QSNAP_THOROUGH'] === '1';

/** One in so many, another one for the next holder. */
const SHARE = THINNER > 1 ? 6 : 3;

function slice<T>(commands: readonly T[]): readonly T[] {
  return commands.filter((_, i) => IS_THOROUGH || i % SHARE === total.holders % SHARE);
}

const total = { holders: 0, reads: 0, edits: 0 };

/** Commands of qemu-img that only read, each with and without `-U`. */
const READS = [
  ['info', 'IMAGE'],
  ['check', 'IMAGE'],
  ['map', 'IMAGE'],
  ['measure', '-O', 'qcow2', 'IMAGE'],
  ['snapshot', '-l', 'IMAGE'],
  ['compare', 'IMAGE', 'other.qcow2'],
  ['convert', '-O', 'raw', 'IMAGE', 'out.raw'],
].flatMap(([command = '', ...words]) => [
  [command, ...words],
  [command, '-U', ...words],
]);

const EDITS = [
  ['snapshot', '-c', 'new', 'IMAGE'],
  ['snapshot', '-a', '1', 'IMAGE'],
  ['snapshot', '-d', 'clean install', 'IMAGE'],
  ['resize', 'IMAGE', '+1M'],
  ['check', '-r', 'all', 'IMAGE'],
];

const withImage = (words: readonly string[]): string[] =>
  words.map((word) => (word === 'IMAGE' ? path.basename(image) : word));

/** Both tools, with what differs in any case made equal. */
async function both(words: readonly string[]): Promise<{ qemu: object; ours: object }> {
  const argv = withImage(words);
  const qemu = await qemuOutcome(argv, folder);
  const ours = await ourOutcome(argv, folder);
  total.reads += 1;
  return { qemu, ours: { ...ours, stderr: ours.stderr.replaceAll('qsnap-img:', 'qemu-img:') } };
}

const QSNAP_READS = (): string[][] => [
  ['list', image],
  ['info', image],
  ['show', image, 'id:1'],
  ['check', image],
  ['map', image],
  ['compare', image, path.join(folder, 'other.qcow2')],
  ['export', '--force', image, '-o', path.join(folder, 'out.raw')],
  ['create', '--dry-run', image, 'new'],
  ['repair', '--plan', image],
];

const QSNAP_EDITS = (): string[][] => [
  ['create', image, 'new'],
  ['apply', '--discard-changes', image, 'id:1'],
  ['apply', '--save-as', 'new', image, 'id:1'],
  ['trim', '--relocate', image],
  ['delete', image, 'id:1', 'id:2'],
  ['rename', image, 'id:1', 'new'],
  ['repair', image],
  ['undo', undoFile, image],
  ['export', '--force', path.join(folder, 'other.qcow2'), '-o', image],
  ['scrub', image],
];

async function expectReadsAsQemu(): Promise<void> {
  for (const words of slice(READS)) {
    const { qemu, ours } = await both(words);
    expect({ words, ...ours }).toEqual({ words, ...qemu });
  }
  const { code } = await qemuOutcome(['info', path.basename(image)], folder);
  const isShared = code === 0;
  for (const words of slice(QSNAP_READS())) {
    const { code: ourCode, stderr } = await qsnap(words);
    // A comparison that is not made has another code than a read that is not done.
    const failed = words[0] === 'compare' ? 2 : 1;
    expect({ words, ourCode, stderr }).toMatchObject({ ourCode: isShared ? 0 : failed });
    const forced = await qsnap(['-U', ...words]);
    expect({ words, code: forced.code }).toEqual({ words, code: 0 });
    total.reads += 2;
  }
}

async function expectEditsRefused(holder: Holder, pid: number): Promise<void> {
  const who = `${holder.program} (pid ${pid})`;
  for (const words of slice(QSNAP_EDITS())) {
    const { code, stderr } = await qsnap(words);
    const inUse = `${image} is in use by ${who}\n`;
    expect({ words, code, stderr }).toEqual({
      words,
      code: 1,
      stderr: expect.stringContaining(inUse) as string,
    });
    expect(stderr).toContain('\nhint: shut down the virtual machine or end the program');
    const json = await qsnap(['--json', ...words]);
    expect(JSON.parse(json.stdout)).toMatchObject({ error: { code: 'IMAGE_IN_USE', holder: who } });
    total.edits += 2;
  }
  for (const words of slice(EDITS)) {
    const ours = await ourOutcome(withImage(words), folder);
    expect({ words, code: ours.code }).toEqual({ words, code: 1 });
    expect(ours.stderr).toContain('lock');
    total.edits += 1;
    // QEMU would write while somebody reads who shares all.
    if (holder.sharesAll === true) continue;
    const qemu = await qemuOutcome(withImage(words), folder);
    expect(ours.stderr.replaceAll('qsnap-img:', 'qemu-img:')).toBe(qemu.stderr);
    expect(ours.code).toBe(qemu.code);
  }
}

describeHolders((holders) => {
  test.each(holders)('$name', async (holder) => {
    const { pid } = await hold(holder, image);
    total.holders += 1;
    const held = readFileSync(image);
    await expectReadsAsQemu();
    await expectEditsRefused(holder, pid!);
    expect(readFileSync(image).equals(held)).toBe(true);
    await endHolders();
    expect(await qsnap(['create', image, 'when it is free'])).toMatchObject({ code: 0 });
    await expectClean(image);
  });
});

test('nobody has it', async () => {
  expect(original.equals(readFileSync(image))).toBe(true);
  const { code, stdout } = await qsnap(['--json', 'create', image, 'new']);
  expect(code).toBe(0);
  expect(parsed('edit', stdout)).toMatchObject({ operation: 'create' });
});

afterAll(() => {
  console.log(
    `${total.holders} holders, ${total.reads} reads as QEMU's, ${total.edits} edits refused`,
  );
});
