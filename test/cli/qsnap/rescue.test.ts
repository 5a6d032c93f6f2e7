import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { buildImage, guestWrite, layoutOf } from '../../support/image-builder.js';
import { temporaryDirectory } from '../../support/directories.js';
import { expectSound, imageOf, parsed, qsnap } from './harness.js';

/** `five-snapshots` without its active L1 table, and where it lies. */
function withoutL1(): { image: string; copy: string } {
  const image = imageOf('five-snapshots');
  const bytes = readFileSync(image);
  const { l1At, l1Entries } = layoutOf(bytes);
  bytes.fill(0, l1At, l1At + l1Entries * 8);
  writeFileSync(image, bytes);
  return { image, copy: `${temporaryDirectory()}/copy.qcow2` };
}

/** `five-snapshots` with an L2 table of the active disk that holds text. */
function withoutL2(): { image: string; copy: string } {
  const image = imageOf('version-3');
  const bytes = readFileSync(image);
  const { l1At, clusterBytes } = layoutOf(bytes);
  const at = Number(bytes.readBigUInt64BE(l1At) & 0x00ff_ffff_ffff_fe00n);
  bytes.fill(0x2e, at, at + clusterBytes);
  writeFileSync(image, bytes);
  return { image, copy: `${temporaryDirectory()}/copy.qcow2` };
}

test('--plan writes nothing and tells how sure each disk is', async () => {
  const { image, copy } = withoutL1();
  const before = readFileSync(image);
  const { code, stdout } = await qsnap(['rescue', '--plan', '-o', copy, image]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^active +- +likely +its L2 tables alone/m);
  expect(stdout).toMatch(/^snapshot-1 +clean install +certain +its pointer/m);
  expect(existsSync(copy)).toBe(false);
  expect(readFileSync(image).equals(before)).toBe(true);
});

test('the copy is sound and holds what the disks held', async () => {
  const { image, copy } = withoutL1();
  const whole = imageOf('five-snapshots');
  const { code, stdout, stderr } = await qsnap(['rescue', image, '-o', copy]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/Rescued 6 disks to .*: .* of data\.$/m);
  await expectSound(copy);
  const compared = await qsnap(['compare', whole, copy]);
  expect(compared.code, compared.stdout).toBe(0);
  for (const id of ['id:1', 'id:5']) {
    expect((await qsnap(['compare', whole, copy, '-s', id, '-w', id])).code).toBe(0);
  }
});

test('what is lost is named, in the map file too, and the exit code is 2', async () => {
  const { image, copy } = withoutL2();
  const map = `${copy}.json`;
  const { code, stdout } = await qsnap(['rescue', '--json', image, '-o', copy, '--map', map]);
  expect(code).toBe(2);
  const document = parsed('rescue', stdout) as {
    disks: { disk: string; lost: { start: number; length: number }[]; 'lost-bytes': number }[];
  };
  const lossy = document.disks.find((disk) => disk['lost-bytes'] > 0)!;
  expect(lossy.lost[0]!.start).toBe(0);
  const kept = parsed('rescue', readFileSync(map, 'utf8')) as { disks: { disk: string }[] };
  expect(kept.disks.map(({ disk }) => disk)).toContain(lossy.disk);
  await expectSound(copy);
});

test('a disk can be left out', async () => {
  const { image, copy } = withoutL1();
  await qsnap(['rescue', '-q', image, '-o', copy, '--leave', 'snapshot-2', 'snapshot-3']);
  const { stdout } = await qsnap(['list', copy]);
  expect(stdout).not.toMatch(/updates applied/);
  expect(stdout).toMatch(/clean install/);
  await expectSound(copy);
});

test('a disk that was not found is refused by name', async () => {
  const { image, copy } = withoutL1();
  const { code, stderr } = await qsnap(['rescue', image, '-o', copy, '--take', 'lost-7']);
  expect(code).toBe(1);
  expect(stderr).toMatch(/no disk that was found is called "lost-7"/);
  expect(stderr).toMatch(/^ {2}snapshot-1$/m);
  expect(existsSync(copy)).toBe(false);
});

test('never in place, and nothing is replaced unasked', async () => {
  const { image, copy } = withoutL1();
  const before = readFileSync(image);
  expect((await qsnap(['rescue', image, '-o', image, '--force'])).stderr).toMatch(/is read itself/);
  writeFileSync(copy, 'mine');
  expect((await qsnap(['rescue', image, '-o', copy])).code).toBe(1);
  expect(readFileSync(copy, 'utf8')).toBe('mine');
  expect((await qsnap(['rescue', image, '-o', copy, '--force'])).code).toBe(0);
  expect(statSync(copy).size).toBeGreaterThan(4);
  expect(readFileSync(image).equals(before)).toBe(true);
  await expectSound(copy);
});

test('--plan ends as the rescue would where the copy can not be made', async () => {
  // What is lost above a backing file takes zero flags, and those a longer header.
  const bytes = Buffer.from(
    buildImage({
      version: 2,
      clusterBits: 9,
      refcountOrder: 4,
      extendedL2: false,
      diskSizeBytes: 2 ** 15,
    }),
  );
  const backing = Buffer.from('/nowhere.raw');
  bytes.writeUInt32BE(0x0bad_cafe, 72);
  bytes.writeUInt32BE(400, 76);
  bytes.writeBigUInt64BE(496n, 8);
  bytes.writeUInt32BE(backing.length, 16);
  backing.copy(bytes, 496);
  const { l1At } = layoutOf(bytes);
  bytes.writeBigUInt64BE(2n ** 63n + 2n ** 30n, l1At);
  const folder = temporaryDirectory();
  const image = `${folder}/narrow.qcow2`;
  writeFileSync(image, bytes);
  for (const words of [['--plan'], ['-o', `${folder}/copy.qcow2`]]) {
    const { code, stderr } = await qsnap(['rescue', image, ...words]);
    expect(stderr).toMatch(/the header of the copy does not fit into a cluster/);
    expect(code).toBe(1);
  }
  expect(existsSync(`${folder}/copy.qcow2`)).toBe(false);
});

test('what may be lost is said, and the exit code is 2', async () => {
  const disk = { bytes: buildImage({ diskSizeBytes: 2 ** 21 }) };
  for (const cell of [0, 1, 2, 300]) guestWrite(disk, cell, 1);
  const bytes = Buffer.from(disk.bytes);
  const { l1At } = layoutOf(bytes);
  const l2At = Number(bytes.readBigUInt64BE(l1At) & 0x00ff_ffff_ffff_fe00n);
  bytes.fill(0, l2At, l2At + 512);
  const folder = temporaryDirectory();
  const [image, copy] = [`${folder}/emptied.qcow2`, `${folder}/copy.qcow2`];
  writeFileSync(image, bytes);
  const { code, stdout } = await qsnap(['rescue', image, '-o', copy]);
  expect(code, stdout).toBe(2);
  expect(stdout).toMatch(/^ {2}perhaps not all came back of a disk with "\?"/m);
  expect(stdout).toMatch(/^active +- +likely .* \? +yes$/m);
  await expectSound(copy);
});

test('a file without anything of an image is refused', async () => {
  const file = `${temporaryDirectory()}/notes.txt`;
  writeFileSync(file, 'nothing but text\n'.repeat(10_000));
  const { code, stdout, stderr } = await qsnap(['rescue', '--json', file, '-o', `${file}.qcow2`]);
  expect(code).toBe(1);
  expect(stderr).toMatch(/nothing of a qcow2 image is found/);
  expect(parsed('rescue', stdout)).toMatchObject({ error: { code: 'NOT_QCOW2' } });
});

test('without an output and without --plan it is wrong usage', async () => {
  const { code, stderr } = await qsnap(['rescue', imageOf('five-snapshots')]);
  expect(code).toBe(1);
  expect(stderr).toMatch(/name the new image with --output/);
});

test('check and --plan name the place that a pointer with a flipped bit led to', async () => {
  const image = imageOf('five-snapshots');
  const bytes = readFileSync(image);
  const { l1At } = layoutOf(bytes);
  bytes.writeBigUInt64BE(BigInt(l1At) ^ (1n << 40n), 40);
  writeFileSync(image, bytes);
  const hex = l1At.toString(16);
  const hint = new RegExp(
    `offset 0x100${hex.padStart(8, '0')} is past the end; 0x${hex} differs by one bit and holds a table with \\d+ sound entr`,
  );
  const checked = await qsnap(['check', image]);
  expect(checked.code).toBe(2);
  expect(checked.stdout).toMatch(new RegExp(`^METADATA_PAST_END@0x\\w+: ${hint.source}`, 'm'));
  const { images } = parsed('check', (await qsnap(['check', '--json', image])).stdout) as {
    images: { findings: { code: string; hint?: string }[] }[];
  };
  const hints = images[0]!.findings.flatMap((one) => (one.hint === undefined ? [] : [one]));
  expect(hints).toEqual([
    expect.objectContaining({
      code: 'METADATA_PAST_END',
      hint: expect.stringMatching(hint) as string,
    }),
  ]);
  const planned = await qsnap(['rescue', '--plan', image]);
  expect(planned.stdout).toMatch(new RegExp(`^active: ${hint.source}`, 'm'));
  const { disks } = parsed(
    'rescue',
    (await qsnap(['rescue', '--plan', '--json', image])).stdout,
  ) as {
    disks: { disk: string; hint?: string }[];
  };
  expect(disks.find(({ disk }) => disk === 'active')!.hint).toMatch(hint);
});
