/** `convert -n` into images that hold something: the disk becomes what QEMU makes of it, and snapshots keep theirs. */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { plainBitmaps } from '../support/bitmap-bits.js';
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
import { spoilFirstCompressed } from '../support/spoiled-cluster.js';
import { testDifferent, testEqual } from './parity-lines.js';
import { editBoth, madeByBoth, ourOutcome, type EditedPair } from './parity.js';

const KEY = ['--object', 'secret,id=k,data=pass'];
const optionsOf = (name: string): string =>
  `driver=qcow2,file.filename=${name},encrypt.key-secret=k`;
const Q = ['-O', 'qcow2'];
const N = ['convert', '-n'];

/** The targets: what each is made with, and what a guest wrote before and after the snapshot. */
const TARGETS: readonly (readonly [name: string, create: readonly string[], use: string])[] = [
  ['plain', ['4M'], 'write -P 1 0 4M'],
  ['over', ['-b', 'base', '-F', 'qcow2', '4M'], 'write -P 2 100k 1M'],
  ['old', ['-o', 'compat=0.10', '-b', 'base', '-F', 'qcow2', '4M'], 'write -P 3 0 1M'],
  ['fine', ['-o', 'extended_l2=on', '-b', 'base', '-F', 'qcow2', '4M'], 'write -P 4 3k 1M'],
  ['tiny', ['-o', 'cluster_size=512', '4M'], 'write -P 5 0 2M'],
  ['wide', ['-o', 'cluster_size=2M', '5M'], 'write -P 6 0 5M'],
  ['packed', ['4M'], 'write -c -P 7 0 1M'],
  ['small', ['512k'], 'write -P 8 0 512k'],
  ['luks', ['-o', 'encrypt.format=luks,encrypt.key-secret=k,encrypt.iter-time=10', '4M'], ''],
  ['aes', ['-o', 'encrypt.format=aes,encrypt.key-secret=k', '4M'], ''],
];
const isEncrypted = (name: string): boolean => name === 'luks' || name === 'aes';

async function makeAll(cwd: string): Promise<void> {
  const create = (argv: readonly string[]) =>
    qemuImg(['create', '-q', '-f', 'qcow2', ...argv], { cwd });
  await create(['base', '4M']);
  await qemuIo('base', ['write -P 9 0 4M'], { cwd });
  for (const [name, argv, use] of TARGETS) {
    const key = isEncrypted(name) ? KEY : [];
    await create([...key, ...argv.slice(0, -1), name, argv.at(-1)!]);
    if (use !== '') await qemuIo(name, [use], { cwd });
    if (isEncrypted(name)) {
      await qemuImg([...N, ...KEY, '--target-image-opts', 'base', optionsOf(name)], { cwd });
    }
    const opened = isEncrypted(name) ? [...KEY, '--image-opts', optionsOf(name)] : [name];
    await qemuImg(['snapshot', '-c', 's', ...opened], { cwd });
    if (use !== '') await qemuIo(name, ['write -P 10 64k 70k'], { cwd });
  }
  await create(['-o', 'cluster_size=4k', '-b', 'base', '-F', 'qcow2', 'source', '3M']);
  const uses = ['write -P 11 7k 300k', 'write -z 1M 500k', 'write -P 0 2M 300k'];
  await qemuIo('source', uses, { cwd });
  writeFileSync(path.join(cwd, 'raw'), Buffer.alloc(1_000_100, 12).fill(0, 200_000, 500_000));
  await create(['blank', '4M']);
  await create(['noting', '4M']);
  await qemuImg(['bitmap', '--add', 'noting', 'b'], { cwd });
}

const PLAIN = TARGETS.map(([name]) => name).filter((name) => !isEncrypted(name));
const LINES: readonly (readonly string[])[] = [
  ...PLAIN.flatMap((name) => [
    [...N, ...Q, 'source', name],
    [...N, ...Q, '-f', 'raw', 'raw', name],
    [...N, ...Q, '-S', '0', 'source', name],
  ]),
  ...['luks', 'aes'].map((name) => [
    ...[...N, ...KEY, '--target-image-opts', 'source', optionsOf(name)],
  ]),
  [...N, '--target-image-opts', 'source', optionsOf('luks')],
  [...N, ...Q, 'source', 'luks'],
  [...N, ...Q, '-S', '64k', 'source', 'over'],
  [...N, ...Q, 'source', 'raw', 'plain'],
  [...N, ...Q, 'blank', 'over'],
  [...N, ...Q, 'base', 'over'],
  [...N, ...Q, 'plain', 'plain'],
  [...N, ...Q, '-l', 's', 'tiny', 'plain'],
];

async function expectAlike(pair: EditedPair, argv: readonly string[]): Promise<void> {
  const name = argv.at(-1)!.replace(/^.*file\.filename=|,encrypt.*$/g, '');
  const [theirs, ours] = madeByBoth(pair, name);
  await expectSame(theirs, ours, isEncrypted(name));
}

async function expectSame(theirs: string, ours: string, encrypted = false): Promise<void> {
  if (encrypted) {
    // Fails where it finds anything.
    await qemuImg(['check', ...KEY, '--image-opts', optionsOf(ours)]);
    const known = await decrypted(theirs);
    for (const [i, copy] of (await decrypted(ours)).entries()) {
      await qemuImg(['compare', '-f', 'raw', '-F', 'raw', known[i]!, copy]);
    }
    return;
  }
  await expectClean(ours);
  await qemuImg(['compare', theirs, ours]);
  expect(await contentHash(ours, '1')).toBe(await contentHash(theirs, '1'));
}

/** The disk, and the snapshot's, as raw files. */
async function decrypted(image: string): Promise<readonly string[]> {
  const copies = [`${image}.disk`, `${image}.snapshot`];
  for (const [i, copy] of copies.entries()) {
    const which = i === 0 ? [] : ['-l', 's'];
    await qemuImg(['convert', ...KEY, ...which, '--image-opts', optionsOf(image), copy]);
  }
  return copies;
}

const template = path.join(memoryDirectory(), 'template');
const setUp = (directory: string): void => {
  cpSync(template, directory, { recursive: true });
};
const both = (argv: readonly string[]) => editBoth(argv, memoryDirectory(), setUp);

describeWithQemu('convert -n into what is not empty', () => {
  beforeAll(async () => {
    mkdirSync(template);
    await makeAll(template);
  }, 60_000);

  testEqual(LINES, both, expectAlike);

  testDifferent([['packed-into-held', ...N, '-c', ...Q, 'source', 'plain']], both);

  test('a target that is said to be zero and is not reads as the source does', async () => {
    const argv = [...N, '--target-is-zero', ...Q, 'source', 'plain'];
    const pair = await both(argv);
    expect(pair.ours).toEqual(pair.qemu);
    const known = await both(argv.filter((word) => word !== '--target-is-zero'));
    await expectSame(path.join(known.qemuDirectory, 'plain'), madeByBoth(pair, 'plain')[1]);
  });

  test('a bitmap that notes changes has them', async () => {
    const pair = await both([...N, ...Q, 'source', 'noting']);
    expect(pair.ours).toEqual(pair.qemu);
    const [theirs, ours] = madeByBoth(pair, 'noting');
    await qemuImg(['compare', theirs, ours]);
    await expectClean(ours);
    const [known, made] = [theirs, ours].map((file) => plainBitmaps(readFileSync(file)));
    expect(made).toEqual(known);
  });

  test.each([
    ['compressed clusters', ['-c', ...Q, 'source', 'plain'], '-c with -n is for an empty image'],
  ])('%s: refused, and nothing is changed', async (_, args, reason) => {
    const folder = path.join(memoryDirectory(), 'work');
    setUp(folder);
    const target = path.join(folder, args.at(-1)!);
    const before = readFileSync(target);
    const refused = await ourOutcome([...N, ...args], folder);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(reason);
    expect(readFileSync(target).equals(before)).toBe(true);
  });

  test('a source that can not be read to its end leaves the old disk', async () => {
    const folder = path.join(memoryDirectory(), 'work');
    setUp(folder);
    spoilFirstCompressed(path.join(folder, 'packed'));
    const target = path.join(folder, 'plain');
    const before = await contentHash(target);
    const failed = await ourOutcome([...N, ...Q, 'packed', 'plain'], folder);
    expect(failed.code).toBe(1);
    expect(failed.stderr).not.toBe('');
    expect(await contentHash(target)).toBe(before);
    await expectClean(target);
  });
});

const seed = seedOf() + 11;
const rounds = Math.max(12, roundsOf(12));
/** No bitmaps, which would have to note it; encryption is tried with single images. */
const isHeld = ({ bitmaps, refcountBits, encryption }: ImageOptions): boolean =>
  !bitmaps && refcountBits >= 4 && encryption === 'none';

describeWithQemu(`convert -n into images of all kinds (seed ${seed - 11})`, () => {
  const kinds = coveringOptions(randomFrom(seed), 2 * rounds, isHeld);
  const cases = Array.from({ length: rounds }, (_, own) => ({
    own,
    from: { ...kinds[2 * own]!, backing: false },
    into: { ...kinds[2 * own + 1]!, preallocation: 'off' as const },
  }));
  for (const { own, from, into } of oneIn(4, cases)) {
    test(`${own}: ${nameOfOptions(from)} into ${nameOfOptions(into)}`, async () => {
      const random = randomFrom(seed + own);
      const [size, intoSize] = [diskBytesOf(from), Math.max(diskBytesOf(from), diskBytesOf(into))];
      const commands = (options: ImageOptions) =>
        guestCommands(random, options, size).map((one) => one.replace('-s pattern.bin', '-P 77'));
      const uses = [commands(from), commands(into), commands(into)] as const;
      const make = async (cwd: string): Promise<void> => {
        const create = (argv: readonly string[]) =>
          qemuImg(['create', '-q', '-f', 'qcow2', ...argv], { cwd });
        await create(['-o', createArgument(from), 'source', String(size)]);
        await qemuIo('source', uses[0], { cwd, okCodes: [0, 1] });
        const over = into.backing ? ['-b', 'source', '-F', 'qcow2'] : [];
        const own = createArgument({ ...into, backing: false });
        await create(['-o', own, ...over, 'target', String(intoSize)]);
        await qemuIo('target', uses[1], { cwd, okCodes: [0, 1] });
        await qemuImg(['snapshot', '-c', 's', 'target'], { cwd });
        await qemuIo('target', uses[2], { cwd, okCodes: [0, 1] });
      };
      const zeros = random.pick([[], ['-S', '0'], ['-S', '64k']]);
      const argv = [...N, ...Q, ...zeros, 'source', 'target'];
      const pair = await editBoth(argv, memoryDirectory(), make);
      const told = `seed ${seed - 11}: ${argv.join(' ')}: ${pair.ours.stderr}`;
      expect(pair.ours, told).toEqual(pair.qemu);
      const [theirs, ours] = madeByBoth(pair, 'target');
      await expectSame(theirs, ours);
    });
  }
});
