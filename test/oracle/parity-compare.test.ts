import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { copyCompanions, copyFixture, fixtureNames } from '../support/fixture.js';
import { chainPlan, changedPlan, makeChain } from '../support/seeded-chain.js';
import { memoryDirectory } from '../support/directories.js';
import { createImage, makeImage } from '../support/made-images.js';
import { describeWithQemu, qemuImg, qemuIo } from '../support/qemu.js';
import { type DifferenceName, differencesOf } from './parity-differences.js';
import { testDifferent, testEqual, type DifferentLine } from './parity-lines.js';
import { randomFrom, roundsOf, seedOf, type Random } from '../support/model-random.js';
import { readBoth } from './parity.js';
import { oneIn } from '../support/left-out.js';

const SECRET = ['--object', 'secret,id=s,data=abc'];
const LUKS = 'driver=qcow2,file.filename=luks,encrypt.key-secret=s';
const AES = 'driver=qcow2,file.filename=aes,encrypt.key-secret=s';
const PLAIN = 'driver=qcow2,file.filename=a';

/** Every file that the command lines name, made once; comparing changes nothing. */
const directory = memoryDirectory();
const at = (name: string): string => path.join(directory, name);

async function makeFiles(): Promise<void> {
  const create = (name: string, ...rest: readonly string[]) =>
    createImage([name, ...rest], directory);
  const convert = (...args: readonly string[]) => qemuImg(['convert', ...args], { cwd: directory });
  await create('a', '10M');
  await qemuIo(at('a'), ['write -P 7 64k 128k', 'write -P 9 5M 70k', 'write -z 6M 1M']);
  await convert('-O', 'qcow2', 'a', 'same');
  await convert('-O', 'raw', 'a', 'a.raw');
  await convert('-O', 'qcow2', '-c', 'a', 'packed');
  await convert('-O', 'qcow2', '-o', 'cluster_size=4k', 'a', 'small-clusters');
  await convert('-O', 'qcow2', '-o', 'extended_l2=on', 'a', 'extended');
  await convert('-O', 'qcow2', 'a', 'differs-late');
  await qemuIo(at('differs-late'), ['write -P 1 5242880 512', 'write -P 9 5300k 1k']);
  await convert('-O', 'qcow2', 'a', 'differs-inside');
  await qemuIo(at('differs-inside'), ['write -P 8 101k 1k']);
  await convert('-O', 'qcow2', 'a', 'longer');
  await qemuImg(['resize', '-q', at('longer'), '12M']);
  await convert('-O', 'qcow2', 'longer', 'longer-and-used');
  await qemuIo(at('longer-and-used'), ['write -P 3 11M 512']);
  await create('empty', '10M');
  await create('zeros', '10M');
  await qemuIo(at('zeros'), ['write -z 0 10M']);
  await create('reserved', '-o', 'preallocation=metadata', '10M');
  await create('written-zeros', '10M');
  await qemuIo(at('written-zeros'), ['write -P 0 0 10M']);
  await create('one-run', '256k');
  await qemuIo(at('one-run'), ['write -P 7 0 256k']);
  await create('scattered', '256k');
  const backwards = ['192k', '128k', '64k', '0'].map((offset) => `write -P 7 ${offset} 64k`);
  await qemuIo(at('scattered'), backwards);
  await create('over', '-b', 'a', '-F', 'qcow2');
  await create('over-changed', '-b', 'a', '-F', 'qcow2');
  await qemuIo(at('over-changed'), ['write -P 7 128k 64k', 'write -P 2 9M 4k']);
  await create('over-longer', '-b', 'a', '-F', 'qcow2', '12M');
  await create('over-raw', '-b', 'a.raw', '-F', 'raw');
  await create('over-nothing', '-u', '-b', 'nosuch', '-F', 'qcow2', '10M');
  await create('nothing', '0');
  const locked = 'encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10';
  await convert('-O', 'qcow2', ...SECRET, '-o', locked, 'a', 'luks');
  await convert(
    '-O',
    'qcow2',
    ...SECRET,
    '-o',
    'encrypt.format=aes,encrypt.key-secret=s',
    'a',
    'aes',
  );
  writeFileSync(at('odd'), new Uint8Array(5001));
  writeFileSync(at('letter'), 'x');
  writeFileSync(at('no-bytes'), '');
  writeFileSync(at('hole'), '');
  truncateSync(at('hole'), 300_000);
  mkdirSync(at('folder'));
  spoil();
}

/** Copies of an image with an entry that points where no cluster is, and with packed data gone bad. */
function spoil(): void {
  const image = readFileSync(at('same'));
  const l2At = Number(image.readBigUInt64BE(Number(image.readBigUInt64BE(40))) & 0xffff_ffff_fe00n);
  image.writeBigUInt64BE(0x8000_0000_0005_0200n, l2At + 8 * 80);
  writeFileSync(at('entry-unaligned'), image);
  const packed = readFileSync(at('packed'));
  const packedL2 = Number(
    packed.readBigUInt64BE(Number(packed.readBigUInt64BE(40))) & 0xffff_ffff_fe00n,
  );
  const entry = packed.readBigUInt64BE(packedL2 + 8 * 80);
  packed.fill(
    0xff,
    Number(entry & 0x3f_ffff_ffff_ffffn),
    Number(entry & 0x3f_ffff_ffff_ffffn) + 30,
  );
  writeFileSync(at('packed-badly'), packed);
}

/** Command lines on which both tools agree to the byte. */
const EQUAL: readonly (readonly string[])[] = [
  // The command line.
  [],
  ['a'],
  ['a', 'same', 'a.raw'],
  ['-x', 'a', 'same'],
  ['-f'],
  ['--format=qcow2', 'a', 'same'],
  ['--object'],
  ['--object', 'secret', 'a', 'same'],
  ['--object', 'secret,id=s', 'a', 'same'],
  ['--image', '-U', 'a', 'same'],
  ['-T', 'foo', 'a', 'same'],
  ['-T', 'foo', 'nosuch', 'same'],
  ['-T', 'foo', 'nosuch'],
  ['-T', '', 'a', 'same'],
  ['-T', 'writethrough', 'a', 'same'],
  ['-T', 'none', 'a', 'same'],
  ['-T', 'unsafe', 'a', 'same'],
  ['-f', 'foo', 'a', 'same'],
  ['-F', 'foo', 'a', 'same'],
  ['-f', 'foo', '-F', 'foo', 'nosuch', 'same'],
  ['-f', 'raw', '-F', 'qcow2', 'a', 'same'],
  ['-f', 'raw', '-F', 'raw', 'a', 'a'],
  ['-f', 'qcow2', 'a.raw', 'a'],
  ['--image-opts', '-f', 'raw', 'a', 'same'],
  ['--image-opts', '-F', 'raw', PLAIN, PLAIN],
  ['--image-opts', 'a', 'same'],
  ['--image-opts', PLAIN, 'driver=raw,file.filename=a.raw'],
  ['--image-opts', PLAIN, 'driver=foo,file.filename=a.raw'],
  // Files.
  ['a', 'nosuch'],
  ['nosuch', 'a'],
  ['folder', 'a'],
  ['a', 'folder'],
  ['a', ''],
  ['a', 'over-nothing'],
  ['a', 'a'],
  // The answer.
  ['a', 'same'],
  ['-q', 'a', 'same'],
  ['-p', 'a', 'same'],
  ['-pq', 'a', 'same'],
  ['-U', 'a', 'same'],
  ['--force-share', 'a', 'same'],
  ['a', 'a.raw'],
  ['-p', 'a', 'a.raw'],
  ['-p', 'a.raw', 'a'],
  ['-p', 'packed', 'a'],
  ['-p', 'small-clusters', 'packed'],
  ['-p', 'extended', 'a.raw'],
  ['a', 'differs-late'],
  ['differs-late', 'a.raw'],
  ['-p', 'packed', 'differs-late'],
  ['-q', 'a', 'differs-late'],
  ['a', 'differs-inside'],
  ['a.raw', 'differs-inside'],
  ['-p', 'packed', 'differs-inside'],
  ['a', 'longer'],
  ['-p', 'longer', 'a'],
  ['-q', 'longer', 'a'],
  ['a', 'longer-and-used'],
  ['-p', 'longer-and-used', 'a'],
  ['longer', 'longer-and-used'],
  ['a.raw', 'longer-and-used'],
  ['a', 'empty'],
  ['empty', 'a.raw'],
  ['-p', 'empty', 'zeros'],
  ['-p', 'empty', 'written-zeros'],
  ['-p', 'reserved', 'written-zeros'],
  ['zeros', 'reserved'],
  ['nothing', 'nothing'],
  ['-p', 'nothing', 'no-bytes'],
  ['nothing', 'hole'],
  ['-p', 'hole', 'nothing'],
  ['nothing', 'letter'],
  ['odd', 'letter'],
  ['letter', 'odd'],
  ['odd', 'hole'],
  ['hole', 'a'],
  ['letter', 'letter'],
  // Backing chains.
  ['-p', 'a', 'over'],
  ['over', 'a.raw'],
  ['over', 'over-raw'],
  ['over', 'over-changed'],
  ['-p', 'over-longer', 'a'],
  ['over-longer', 'over-changed'],
  // Strict.
  ['-s', 'a', 'same'],
  ['-s', 'a', 'a'],
  ['-s', 'a', 'a.raw'],
  ['-s', 'a', 'packed'],
  ['-s', 'packed', 'packed'],
  ['-sp', 'a', 'packed'],
  ['-s', 'a', 'small-clusters'],
  ['-s', 'a', 'differs-late'],
  ['-s', 'a', 'differs-inside'],
  ['-s', 'a', 'longer'],
  ['-sp', 'longer', 'a'],
  ['-sq', 'longer', 'a'],
  ['-s', 'empty', 'zeros'],
  ['-s', 'empty', 'empty'],
  ['-s', 'empty', 'reserved'],
  ['-s', 'zeros', 'reserved'],
  ['-s', 'reserved', 'written-zeros'],
  ['-s', 'one-run', 'scattered'],
  ['-s', 'scattered', 'scattered'],
  ['-s', 'over', 'a'],
  ['-s', 'over', 'over-changed'],
  ['-s', 'over', 'over-raw'],
  ['-s', 'over-longer', 'longer'],
  ['-s', 'odd', 'letter'],
  ['-s', 'odd', 'odd'],
  ['-s', 'nothing', 'no-bytes'],
  // Encryption.
  ['luks', 'a'],
  ['a', 'aes'],
  [...SECRET, 'luks', 'a'],
  ['--image-opts', LUKS, PLAIN],
  ['--image-opts', ...SECRET, LUKS, PLAIN],
  ['--image-opts', '-p', ...SECRET, PLAIN, AES],
  ['--image-opts', ...SECRET, LUKS, AES],
  ['--image-opts', '-s', ...SECRET, LUKS, PLAIN],
  ['--image-opts', '--object', 'secret,id=s,data=wrong', LUKS, PLAIN],
  // What can't be read.
  ['packed-badly', 'a'],
  ['a', 'packed-badly'],
  ['-p', 'a', 'packed-badly'],
  ['differs-inside', 'packed-badly'],
  ['-s', 'packed', 'packed-badly'],
];

/** Command lines on which they differ, and what shows it. */
const DIFFERENT: readonly DifferentLine[] = [
  ['own-help', '-h'],
  ['other-formats', '-f', 'vdi', 'a', 'same'],
  ['other-protocols', 'nbd:foo', 'same'],
  ['other-protocols', 'a', 'nbd:foo'],
  ['devices-refused', 'a', '/dev/null'],
];

describeWithQemu('compare', () => {
  beforeAll(makeFiles);

  const run = (argv: readonly string[]) => readBoth(['compare', ...argv], directory);
  testEqual(EQUAL, run);
  testDifferent(DIFFERENT, run);

  test('an entry that points nowhere ends both in the same way', async () => {
    for (const argv of [
      ['entry-unaligned', 'a'],
      ['a', 'entry-unaligned'],
    ]) {
      const { qemu, ours } = await readBoth(['compare', ...argv], directory);
      // QEMU's block layer has a line of its own before.
      const lastLine = (text: string): string => text.split('\n').at(-2)!;
      expect({ ...ours, stderr: lastLine(ours.stderr) }).toEqual({
        ...qemu,
        stderr: lastLine(qemu.stderr),
      });
      expect(ours.code).toBe(3);
    }
  });
});

const MIB = 2 ** 20;

/** A disk of zeros in all the ways that a table can say so; with few tables, and with none. */
async function makeZeros(folder: string, name: string, mib: number, random: Random): Promise<void> {
  const options = `extended_l2=${random.pick(['on', 'off'])},cluster_size=${random.pick(['16k', '64k'])}`;
  const image = path.join(folder, name);
  await makeImage(image, `${mib}M`, options);
  for (let i = random.below(4); i > 0; i--) {
    const at = random.below(mib);
    const length = 1 + random.below(Math.min(mib - at, 40));
    const how = random.pick(['write -z', 'write -P 0', 'discard']);
    await qemuIo(image, [`${how} ${at}M ${length}M`]);
  }
}

describeWithQemu('compare -s, where tables are missing', () => {
  const SHAPES = [
    [57, 'off'],
    [57, 'on'],
    [600, 'off'],
    [600, 'on'],
  ] as const;
  test.each(oneIn(2, SHAPES))(
    'an empty disk of %i MiB and one with a cluster, extended_l2=%s',
    async (mib, extended) => {
      const folder = memoryDirectory();
      for (const name of ['empty', 'written']) {
        await makeImage(path.join(folder, name), `${mib}M`, `extended_l2=${extended}`);
      }
      await qemuIo(path.join(folder, 'written'), [`write -P 1 ${(mib - 17) * MIB} 64k`]);
      for (const names of [
        ['empty', 'written'],
        ['written', 'empty'],
      ]) {
        const { qemu, ours } = await readBoth(['compare', '-s', ...names], folder);
        expect(ours).toEqual(qemu);
        expect(qemu.code).toBe(1);
      }
    },
  );

  const seed = seedOf();
  test(`seeded pairs (seed ${seed})`, async () => {
    const random = randomFrom(seed);
    const codes = new Set<number>();
    for (let round = roundsOf(4); round > 0; round--) {
      const folder = memoryDirectory();
      const mib = 20 + random.below(600);
      await makeZeros(folder, 'a', mib, random);
      await makeZeros(folder, 'b', mib, random);
      for (const flags of [[], ['-s']]) {
        const { qemu, ours } = await readBoth(['compare', ...flags, 'a', 'b'], folder);
        expect(ours, `${flags.join(' ')} round ${round}`).toEqual(qemu);
        codes.add(qemu.code);
      }
    }
    expect([...codes].sort()).toEqual([0, 1]);
  });
});

describeWithQemu('compare -s, over backing files', () => {
  const seed = seedOf();
  test(`seeded pairs of chains (seed ${seed})`, async () => {
    const random = randomFrom(seed);
    const codes = new Set<number>();
    for (let round = roundsOf(4); round > 0; round--) {
      const folder = memoryDirectory();
      const plan = chainPlan(random);
      const other = changedPlan(plan, random);
      await makeChain(folder, 'a', plan);
      await makeChain(folder, 'b', other);
      for (const argv of [
        ['a', 'b'],
        ['-s', 'a', 'b'],
        ['-ps', 'b', 'a'],
      ]) {
        const { qemu, ours } = await readBoth(['compare', ...argv], folder);
        const which = `${argv.join(' ')} round ${round} ${JSON.stringify({ plan, other })}`;
        expect(ours, which).toEqual(qemu);
        codes.add(qemu.code);
      }
    }
    expect([...codes].sort()).toEqual([0, 1]);
  });
});

/** Fixtures that can't be compared alike, and why. */
const EXPECTED: Readonly<Record<string, readonly DifferenceName[]>> = {
  'qcow-version-1': ['other-formats'],
  'backing-json-name': ['other-protocols'],
};

describeWithQemu('compare, on every fixture', () => {
  test.each(oneIn(5, fixtureNames()))('%s', async (name) => {
    const folder = memoryDirectory();
    copyFixture(name, folder);
    copyCompanions(name, folder);
    const image = `${name}.qcow2`;
    await qemuImg(['convert', '-O', 'raw', image, 'plain'], { cwd: folder, okCodes: 'any' });
    for (const argv of [
      [image, image],
      ['-s', image, image],
      [image, 'plain'],
    ]) {
      const pair = await readBoth(['compare', ...argv], folder);
      const found = differencesOf(pair);
      expect(found, `${argv.join(' ')} ${JSON.stringify(pair)}`).toEqual(EXPECTED[name] ?? []);
      if (found.length === 0) expect(pair.ours).toEqual(pair.qemu);
    }
  });
});
