/** `commit` and `rebase` that keep the content: the same words as QEMU's, and the same disks in every file. */
import { cpSync, mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { memoryDirectory } from '../support/directories.js';
import { oneIn } from '../support/left-out.js';
import {
  coveringOptions,
  createArgument,
  diskBytesOf,
  nameOfOptions,
  type ImageOptions,
} from '../support/model-options.js';
import { randomFrom, roundsOf, seedOf } from '../support/model-random.js';
import { guestCommands } from '../support/model-twin.js';
import { contentHash, describeWithQemu, expectClean, qemuImg, qemuIo } from '../support/qemu.js';
import { testEqual } from './parity-lines.js';
import { editBoth, madeByBoth, ourOutcome, qemuOutcome, type EditedPair } from './parity.js';

const MiB = 2 ** 20;
const overlayOn = (base: string, format = 'qcow2') => ['-b', base, '-F', format];

/** The files: what each is made by, and what a guest writes into it. */
const FILES: readonly (readonly [name: string, create: readonly string[], use: string])[] = [
  ['base.qcow2', [String(4 * MiB)], 'write -P 1 0 256k; write -P 2 2M 300k'],
  [
    'mid.qcow2',
    ['-o', 'cluster_size=4k', ...overlayOn('base.qcow2')],
    'write -P 3 65k 70k; write -z 2M 8k',
  ],
  ['top.qcow2', overlayOn('mid.qcow2'), 'write -P 4 130k 64k; write -z 0 64k; write -P 5 3M 1k'],
  ['compressed.qcow2', overlayOn('base.qcow2'), 'write -c -P 6 64k 64k; write -c -P 7 2M 128k'],
  [
    'wide.qcow2',
    [...overlayOn('base.qcow2'), String(6 * MiB)],
    'write -P 8 5M 64k; write -P 9 3900k 9k',
  ],
  ['narrow.qcow2', [...overlayOn('base.qcow2'), String(MiB)], 'write -P 10 900k 64k'],
  [
    'old.qcow2',
    ['-o', 'compat=0.10', ...overlayOn('base.qcow2')],
    'write -P 11 2M 4k; write -z 0 128k',
  ],
  [
    'fine.qcow2',
    ['-o', 'extended_l2=on', ...overlayOn('base.qcow2')],
    'write -P 12 66k 1k; write -z 128k 4k',
  ],
  ['raw.qcow2', overlayOn('base.raw', 'raw'), 'write -P 13 100k 100k; write -z 2M 64k'],
  ['other.qcow2', [String(3 * MiB)], 'write -P 1 0 256k; write -P 14 1M 64k'],
  ['alone.qcow2', [String(4 * MiB)], 'write -P 15 1M 64k'],
  ['held.qcow2', overlayOn('base.qcow2'), 'write -P 16 0 64k'],
];
const images = FILES.map(([name]) => name);

async function makeAll(cwd: string): Promise<void> {
  for (const [name, create, use] of FILES) {
    if (name === 'raw.qcow2')
      await qemuImg(['convert', '-O', 'raw', 'base.qcow2', 'base.raw'], { cwd });
    await qemuImg(
      ['create', '-q', '-f', 'qcow2', ...create.slice(0, -1), ...lastOf(name, create)],
      { cwd },
    );
    await qemuIo(name, use.split('; '), { cwd });
    if (name === 'base.qcow2' || name === 'held.qcow2') {
      await qemuImg(['snapshot', '-c', 'before', name], { cwd });
      await qemuIo(name, ['write -P 17 100k 200k'], { cwd });
    }
  }
}

/** Operands come last: the file, and the size where one is given. */
function lastOf(name: string, create: readonly string[]): readonly string[] {
  const last = create.at(-1)!;
  return /^\d+$/.test(last) ? [name, last] : [last, name];
}

const LINES: readonly (readonly string[])[] = [
  ...['top', 'mid', 'compressed', 'wide', 'narrow', 'old', 'fine', 'raw'].flatMap((name) => [
    ['commit', `${name}.qcow2`],
    ['commit', '-d', `${name}.qcow2`],
  ]),
  ['commit', '-q', 'top.qcow2'],
  ['commit', '-b', 'base.qcow2', 'top.qcow2'],
  ['commit', '-b', 'mid.qcow2', 'top.qcow2'],
  ['commit', '-b', 'nothing', 'top.qcow2'],
  ['commit', '-b', 'other.qcow2', 'top.qcow2'],
  ['commit', '-b', 'top.qcow2', 'top.qcow2'],
  ['commit', 'base.qcow2'],
  ['commit', 'nothing'],
  ['commit', 'top.qcow2', 'mid.qcow2'],
  ['commit'],
  ['commit', '-t', 'bogus', 'top.qcow2'],
  ['commit', '-t', 'none', 'top.qcow2'],
  ['commit', '-r', 'x', 'top.qcow2'],
  ['commit', '-r', '1M', 'top.qcow2'],
  ['commit', '-f', 'raw', 'top.qcow2'],
  ['commit', '-f', 'qcow2', 'top.qcow2'],
  ['commit', '--image-opts', 'driver=qcow2,file.filename=top.qcow2'],
  ['commit', '--image-opts', '-f', 'qcow2', 'driver=qcow2,file.filename=top.qcow2'],
  ['commit', 'base.raw'],
  ['commit', '--drop', 'top.qcow2'],
  ['commit', '--bogus', 'top.qcow2'],
  ...['top', 'compressed', 'wide', 'narrow', 'old', 'fine', 'raw', 'alone'].flatMap((name) => [
    ['rebase', '-b', 'other.qcow2', '-F', 'qcow2', `${name}.qcow2`],
    ['rebase', '-b', '', `${name}.qcow2`],
  ]),
  ['rebase', '-b', 'base.qcow2', '-F', 'qcow2', 'top.qcow2'],
  ['rebase', '-b', 'mid.qcow2', '-F', 'qcow2', 'top.qcow2'],
  ['rebase', '-b', 'base.raw', '-F', 'raw', 'top.qcow2'],
  ['rebase', '-b', 'mid.qcow2', '-F', 'qcow2', 'compressed.qcow2'],
  ['rebase', '-b', 'wide.qcow2', '-F', 'qcow2', 'alone.qcow2'],
  ['rebase', '-b', 'narrow.qcow2', '-F', 'qcow2', 'alone.qcow2'],
  ['rebase', '-b', 'nothing', '-F', 'qcow2', 'top.qcow2'],
  ['rebase', '-b', 'other.qcow2', 'top.qcow2'],
  ['rebase', '-b', 'other.qcow2', '-F', 'bogus', 'top.qcow2'],
  ['rebase', '-b', 'top.qcow2', '-F', 'qcow2', 'top.qcow2'],
  ['rebase', '-b', 'top.qcow2', '-F', 'qcow2', 'base.qcow2'],
  ['rebase', '-q', '-b', 'base.qcow2', '-F', 'qcow2', 'top.qcow2'],
  ['rebase', 'top.qcow2'],
  [
    'rebase',
    '-f',
    'qcow2',
    '-t',
    'none',
    '-T',
    'none',
    '-b',
    'base.qcow2',
    '-F',
    'qcow2',
    'top.qcow2',
  ],
];

/** Every disk of every file holds what it does with QEMU, and all are sound. */
async function expectAlike(pair: EditedPair, argv: readonly string[]): Promise<void> {
  for (const name of images) {
    const [theirs, ours] = madeByBoth(pair, name);
    const [cwd, other] = [pair.ourDirectory, pair.qemuDirectory];
    const info = [cwd, other].map((folder) => qemuOutcome(['info', '--output=json', name], folder));
    const [mine, known] = (await Promise.all(info)).map(({ stdout }) => factsOf(stdout));
    expect(mine, `${argv.join(' ')}: ${name}`).toEqual(known);
    await qemuImg(['compare', theirs, ours]);
    await expectClean(ours);
    if (name !== 'base.qcow2' && name !== 'held.qcow2') continue;
    expect(await contentHash(ours, '1')).toBe(await contentHash(theirs, '1'));
  }
}

function factsOf(info: string): unknown {
  const facts = JSON.parse(info) as Record<string, unknown>;
  return [
    'virtual-size',
    'backing-filename',
    'backing-filename-format',
    'full-backing-filename',
  ].map((key) => facts[key]);
}

const template = path.join(memoryDirectory(), 'template');
const setUp = (directory: string): void => {
  cpSync(template, directory, { recursive: true });
};

describeWithQemu('commit, and rebase that keeps the content', () => {
  beforeAll(async () => {
    mkdirSync(template);
    await makeAll(template);
    expect(readdirSync(template)).toHaveLength(FILES.length + 1);
  });

  testEqual(LINES, (argv) => editBoth(argv, memoryDirectory(), setUp), expectAlike);

  test('a file in between with snapshots refuses a commit past it, unless --force is said', async () => {
    const folder = path.join(memoryDirectory(), 'work');
    setUp(folder);
    await qemuImg(['snapshot', '-c', 'between', 'mid.qcow2'], { cwd: folder });
    const before = await contentHash(path.join(folder, 'base.qcow2'));
    const argv = ['commit', '-b', 'base.qcow2', 'top.qcow2'];
    const refused = await ourOutcome(argv, folder);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("'mid.qcow2' has a snapshot, which would show");
    expect(await contentHash(path.join(folder, 'base.qcow2'))).toBe(before);
    expect((await ourOutcome([...argv, '--force'], folder)).code).toBe(0);
    for (const name of images) await expectClean(path.join(folder, name));
  });

  test.each([
    ['commit', 'held.qcow2'],
    ['commit', '-d', 'held.qcow2'],
    ['rebase', '-b', 'other.qcow2', '-F', 'qcow2', 'held.qcow2'],
  ])('%s %s %s refuses an overlay with snapshots, unless --force is said', async (...argv) => {
    const folder = path.join(memoryDirectory(), 'work');
    setUp(folder);
    const hashes = () => Promise.all(images.map((name) => contentHash(path.join(folder, name))));
    const before = await hashes();
    const refused = await ourOutcome(argv, folder);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("'held.qcow2' has a snapshot, which would show");
    expect(await hashes()).toEqual(before);
    const forced = await ourOutcome([...argv, '--force'], folder);
    expect(forced).toMatchObject({ code: 0, stderr: '' });
    const held = images.indexOf('held.qcow2');
    expect((await hashes())[held]).toBe(before[held]);
    for (const name of images) await expectClean(path.join(folder, name));
  });
});

const seed = seedOf() + 9;
const rounds = Math.max(12, roundsOf(12));
/** Encryption is tried with single images. */
const isChained = ({ refcountBits, encryption }: ImageOptions): boolean =>
  refcountBits >= 4 && encryption === 'none';

describeWithQemu('chains of images of all kinds', () => {
  console.log(`QSNAP_SEED=${seed - 9} QSNAP_ROUNDS=${rounds}`);
  const kinds = coveringOptions(randomFrom(seed), 2 * rounds, isChained);
  const cases = Array.from({ length: rounds }, (_, i) => ({
    own: i,
    base: kinds[2 * i]!,
    overlay: { ...kinds[2 * i + 1]!, preallocation: 'off' as const },
  }));
  for (const { own, base, overlay } of oneIn(4, cases)) {
    const named = `${own}: ${nameOfOptions(base)} below ${nameOfOptions(overlay)}`;
    test(named, async () => {
      const random = randomFrom(seed + own);
      const size = diskBytesOf(overlay);
      const commands = (options: ImageOptions, bytes: number) =>
        guestCommands(random, options, bytes).map((one) => one.replace('-s pattern.bin', '-P 77'));
      const uses = [commands(base, diskBytesOf(base)), commands(overlay, size)] as const;
      const others = commands(overlay, size);
      const make = async (cwd: string): Promise<void> => {
        const create = (argv: readonly string[]) =>
          qemuImg(['create', '-q', '-f', 'qcow2', ...argv], { cwd });
        const plain = { ...base, backing: false };
        await create(['-o', createArgument(plain), 'base', String(diskBytesOf(base))]);
        await qemuIo('base', uses[0], { cwd, okCodes: [0, 1] });
        await qemuImg(['snapshot', '-c', 'before', 'base'], { cwd });
        const over = ['-o', createArgument({ ...overlay, backing: false }), ...overlayOn('base')];
        await create([...over, 'top', String(size)]);
        await qemuIo('top', uses[1], { cwd, okCodes: [0, 1] });
        await create(['other', String(Math.floor(size / 2 / 512) * 512)]);
        await qemuIo('other', others, { cwd, okCodes: [0, 1] });
      };
      for (const argv of [
        ['commit', 'top'],
        ['commit', '-d', 'top'],
        ['rebase', '-b', 'other', '-F', 'qcow2', 'top'],
        ['rebase', '-b', '', 'top'],
      ]) {
        const pair = await editBoth(argv, memoryDirectory(), make);
        const [known, done] = [pair.qemu, pair.ours];
        const told = `seed ${seed - 9}, ${named}: ${argv.join(' ')}: ${done.stderr}`;
        if (known.code === 0) expect(done, told).toEqual(known);
        else expect(done.code, told).toBe(known.code);
        for (const name of ['base', 'top', 'other']) {
          const [theirs, ours] = madeByBoth(pair, name);
          await qemuImg(['compare', theirs, ours]);
          await expectClean(ours);
        }
        const [theirs, ours] = madeByBoth(pair, 'base');
        expect(await contentHash(ours, '1')).toBe(await contentHash(theirs, '1'));
      }
    });
  }
});
