/**
 * Images without their guest data, and such images filled: QEMU says the same of them, and reads from each mapped cluster
 * what tells the place that its own map names. QSNAP_SEED repeats a run, QSNAP_ROUNDS makes it longer.
 */
import { copyFileSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { qsnap } from '../cli/qsnap/harness.js';
import { compared } from '../support/dehydrated.js';
import { memoryDirectory } from '../support/directories.js';
import { copyCompanions, copyFixture, fixtureNames } from '../support/fixture.js';
import {
  coveringOptions,
  diskBytesOf,
  nameOfOptions,
  type ImageOptions,
} from '../support/model-options.js';
import { oneIn } from '../support/left-out.js';
import { randomFrom, roundsOf, seedOf, type Random } from '../support/model-random.js';
import { guest, guestCommands, makeTwins, onImage, type Twins } from '../support/model-twin.js';
import { describeWithQemu, qemuImg, qemuIo } from '../support/qemu.js';

const seed = seedOf();
const rounds = roundsOf(4);

/** Keys are left out of a copy, so that QEMU opens none; others it never opens. */
const LEFT_OUT = /^(luks|qcow-version-1|feature-incompatible.*)$/;
/** QEMU has to find the files that they name. */
const NAMING = /^(backing|data-file|everything|wide-and-large)/;

async function make(command: string, ...argv: readonly string[]): Promise<void> {
  const { code, stderr } = await qsnap([command, '-q', ...argv]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
}

/** What qemu-img says, without the name of the file. */
async function told(file: string, ...argv: readonly string[]): Promise<unknown> {
  const { code, stdout, stderr } = await qemuImg([...argv, file], { okCodes: 'any' });
  const text = `${stdout}\n${stderr}`.replaceAll(file, 'IMAGE').replace(/"actual-size": \d+/, '');
  return { code, text };
}

describeWithQemu('fixtures without guest data', () => {
  const fixtures = fixtureNames().filter((name) => !LEFT_OUT.test(name));
  test.each(oneIn(3, fixtures))('%s', async (name) => {
    const directory = memoryDirectory();
    const image = copyFixture(name, directory);
    copyCompanions(name, directory);
    const [other, kept] = ['other', 'kept'].map((word) => path.join(directory, `${word}.qcow2`));
    await make('dehydrate', image, '-o', other!);
    await make('dehydrate', '--keep-names', image, '-o', kept!);
    for (const copy of NAMING.test(name) ? [kept!] : [kept!, other!]) {
      expect(await told(copy, 'check')).toEqual(await told(image, 'check'));
    }
    for (const argv of [
      ['info', '--output=json'],
      ['snapshot', '-l'],
    ]) {
      expect(await told(kept!, ...argv), argv[0]).toEqual(await told(image, ...argv));
    }
  });
});

async function history(twins: Twins, random: Random): Promise<readonly string[]> {
  const { options, ours } = twins;
  const ids: string[] = [];
  for (let step = 0; step < 5; step++) {
    await guest(twins, guestCommands(random, options, diskBytesOf(options)));
    if (options.refcountBits === 1) continue;
    const { code } = await onImage(twins, ours, ['snapshot', '-c', `state ${step}`]);
    await onImage(twins, twins.theirs, ['snapshot', '-c', `state ${step}`]);
    if (code === 0) ids.push(String(ids.length + 1));
  }
  return ids;
}

interface Segment {
  readonly start: number;
  readonly length: number;
  readonly depth: number;
  readonly data: boolean;
  readonly zero: boolean;
  readonly offset?: number;
}

/** Reads a whole disk through QEMU, and looks for what its map promises. @returns sectors that were judged. */
async function expectPlaces(file: string): Promise<number> {
  const raw = `${file}.raw`;
  await qemuImg(['convert', '-f', 'qcow2', '-O', 'raw', file, raw]);
  const content = readFileSync(raw);
  const { stdout } = await qemuImg(['map', '--output=json', '-f', 'qcow2', file]);
  let sectors = 0;
  for (const { start, length, depth, data, zero, offset } of JSON.parse(stdout) as Segment[]) {
    if (depth !== 0 || !data || zero) continue;
    for (let at = start; at + 512 <= start + length; at += 512) {
      const line = content.toString('latin1', at, at + 32);
      const host = offset === undefined ? undefined : offset + at - start;
      const wanted =
        host === undefined
          ? /^(qsnap packed 0x[0-9a-f]{16} *\n|q{32})/
          : new RegExp(`^qsnap host 0x${host.toString(16).padStart(16, '0')} +\n$`);
      if (!wanted.test(line)) expect(line, `guest ${at}, host ${host}`).toMatch(wanted);
      sectors += 1;
    }
  }
  return sectors;
}

async function dehydratedAndFilled(options: ImageOptions, random: Random): Promise<number> {
  const twins = await makeTwins(memoryDirectory(), options, random);
  const ids = await history(twins, random);
  const [dry, filled] = ['dry', 'filled'].map((w) => path.join(twins.directory, `${w}.qcow2`));
  const { ours: image } = twins;
  const names = options.backing ? ['--keep-names'] : [];
  await make('dehydrate', ...names, image, '-o', dry!);
  const asTheirs = options.backing ? 'with their names' : 'with other names';
  const said = await compared(image, dry!, asTheirs);
  expect(said.ours).toEqual(said.theirs);
  const { stderr } = await qsnap(['rehydrate', '-q', dry!, '-o', filled!]);
  expect(stderr).toBe('');
  const check = await onImage(twins, image, ['check']);
  for (const copy of [dry!, filled!]) {
    const { code, stdout } = await onImage(twins, copy, ['check']);
    expect({ code, stdout }).toEqual({ code: check.code, stdout: check.stdout });
  }
  // What decrypts to the pattern is something else.
  if (options.encryption !== 'none') return 0;
  let sectors = await expectPlaces(filled!);
  for (const id of ids) {
    const copy = path.join(twins.directory, 'applied.qcow2');
    await qemuImg(['convert', '-l', `snapshot.id=${id}`, '-O', 'raw', filled!, `${copy}.raw`]);
    copyFileSync(filled!, copy);
    const { code } = await onImage(twins, copy, ['snapshot', '-a', id]);
    // While there are bitmaps, or no room in narrow refcounts, QEMU applies none.
    if (code === 0) sectors += await expectPlaces(copy);
  }
  return sectors;
}

describeWithQemu('images with a history', () => {
  console.log(`QSNAP_SEED=${seed} QSNAP_ROUNDS=${rounds}`);
  const chosen = coveringOptions(randomFrom(seed), rounds, ({ encryption }) => {
    return encryption !== 'luks';
  });
  let sectors = 0;
  for (const [i, options] of chosen.entries()) {
    test(`${i}: ${nameOfOptions(options)}`, async () => {
      sectors += await dehydratedAndFilled(options, randomFrom(seed + i));
    });
  }
  test('sectors were judged', () => {
    expect(sectors).toBeGreaterThan(1000);
  });
});

describeWithQemu('compressed clusters', () => {
  test.each(['zlib', 'zstd'])('%s: each unpacks to what tells its place', async (type) => {
    const directory = memoryDirectory();
    const [raw, image, dry, filled] = ['a.raw', 'a.qcow2', 'b.qcow2', 'c.qcow2'].map((file) =>
      path.join(directory, file),
    );
    await qemuImg(['create', '-q', '-f', 'raw', raw!, '8M']);
    await qemuIo(raw!, ['write -P 7 0 3M', 'write -P 9 5M 1M'], { format: 'raw' });
    const options = ['-o', `compression_type=${type}`];
    await qemuImg(['convert', '-c', '-O', 'qcow2', ...options, raw!, image!]);
    await make('dehydrate', image!, '-o', dry!);
    expect(await told(dry!, 'check')).toEqual(await told(image!, 'check'));
    const { stdout } = await qsnap(['rehydrate', '--json', dry!, '-o', filled!]);
    expect(JSON.parse(stdout)).toMatchObject({ 'packed-clusters': 64, 'packed-left-out': 0 });
    expect(await expectPlaces(filled!)).toBe((4 * 2 ** 20) / 512);
  });
});
