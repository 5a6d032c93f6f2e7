/** `scan` and `recover`: what is left of deleted snapshots, and their disks in new files. */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../support/directories.js';
import { copyCompanions, loadFixture } from '../../support/fixture.js';
import { deletedUnpunched } from '../../support/unpunched.js';
import { expectSound, imageOf, parsed, qsnap } from './harness.js';

interface Scan {
  readonly candidates: readonly {
    readonly number: number;
    readonly kind: string;
    readonly offset: number;
    readonly plausibility: number;
    readonly snapshot?: { readonly name: string };
    readonly carved?: string;
  }[];
  readonly 'candidates-less-plausible': number;
  readonly 'data-bytes': number;
}
interface Recovery {
  readonly 'candidate-bytes': number;
  readonly 'unknown-bytes': number;
  readonly 'reused-bytes': number;
  readonly 'empty-bytes': number;
  readonly 'disk-size': number;
  readonly output: string;
}

const NAME = 'before database migration';
/** Guest offset of the VM state in the fixture of that name. */
const VM_STATE_AT = '0x20000000';

/** An image that has lost a snapshot, and what the snapshot's disk was. */
async function emptied(): Promise<{ image: string; folder: string; was: Buffer }> {
  const whole = imageOf('five-snapshots');
  const folder = temporaryDirectory();
  const raw = path.join(folder, 'was.raw');
  expect((await qsnap(['export', whole, NAME, '-o', raw])).code).toBe(0);
  const image = path.join(folder, 'emptied.qcow2');
  writeFileSync(image, await deletedUnpunched(loadFixture('five-snapshots'), NAME));
  return { image, folder, was: readFileSync(raw) };
}

async function scanned(image: string, ...argv: string[]): Promise<Scan> {
  const { stdout, code } = await qsnap(['scan', '--json', image, ...argv]);
  expect(code).toBe(0);
  return parsed('scan', stdout) as Scan;
}

test('a deleted snapshot is the first candidate; nothing is written', async () => {
  const { image } = await emptied();
  const before = { bytes: readFileSync(image), mtime: statSync(image).mtimeMs };
  const { candidates } = await scanned(image);
  expect(candidates[0]).toMatchObject({ number: 1, kind: 'snapshot', snapshot: { name: NAME } });
  expect(candidates[0]!.plausibility).toBeGreaterThan(80);
  expect(readFileSync(image).equals(before.bytes)).toBe(true);
  expect(statSync(image).mtimeMs).toBe(before.mtime);
  const { stdout } = await qsnap(['scan', image]);
  expect(stdout).toContain(`3 "${NAME}" of 2023-11-16 22:13:20, 4 MiB`);
  expect(stdout).toContain('--candidate 1 -o FILE');
});

test('what is hardly plausible is counted, and printed when asked for', async () => {
  const { image } = await emptied();
  const usual = await scanned(image);
  const all = await scanned(image, '--min', '0');
  expect(all.candidates.length).toBe(usual.candidates.length + usual['candidates-less-plausible']);
  expect(all['candidates-less-plausible']).toBe(0);
  // A number is the same whatever is printed.
  for (const { number, offset } of usual.candidates) {
    expect(all.candidates.find((one) => one.number === number)!.offset).toBe(offset);
  }
});

test('an image that lost nothing has no candidates, and one that was punched says so', async () => {
  const { candidates } = await scanned(imageOf('no-snapshots'));
  expect(candidates).toEqual([]);
  const image = imageOf('five-snapshots');
  expect((await qsnap(['delete', image, 'id:1', 'id:2'])).code).toBe(0);
  const { stdout } = await qsnap(['scan', image]);
  expect(stdout).toContain('nothing can be had: what was freed was given back to the host');
});

// It said that every cluster is in use.
test('a file that is cut off before its tables says so', async () => {
  const image = imageOf('five-snapshots');
  truncateSync(image, 65_536);
  const { code, stdout } = await qsnap(['scan', image]);
  expect(code).toBe(1);
  expect(stdout).toContain('the file ends before the tables that its header names');
  expect(stdout).not.toContain('every cluster is in use');
  expect((await qsnap(['scan', imageOf('five-snapshots')])).stdout).not.toContain('the file ends');
});

// It ended with 0, and said that every cluster is in use.
test('a file that is cut off behind its tables says how much is not here', async () => {
  const image = imageOf('five-snapshots');
  const bytes = statSync(image).size;
  truncateSync(image, bytes - 3 * 65_536);
  const { code, stdout } = await qsnap(['scan', image]);
  expect(code).toBe(1);
  expect(stdout).toContain('the file was cut off: 192 KiB are counted as in use past its end');
  expect(stdout).not.toContain('every cluster is in use');
  const { stdout: json } = await qsnap(['scan', '--json', image]);
  expect(parsed('scan', json)).toMatchObject({ 'cut-off': true, 'past-end-bytes': 196_608 });
});

// The hint had the word IMAGE.
test('without a header the hint names the image', async () => {
  const image = imageOf('five-snapshots');
  const bytes = readFileSync(image);
  bytes.fill(0, 0, 512);
  writeFileSync(image, bytes);
  const out = path.join(temporaryDirectory(), 'x.raw');
  const { code, stderr } = await qsnap(['recover', image, '--candidate', '1', '-o', out]);
  expect(code).toBe(1);
  expect(stderr).toContain(`hint: \`qsnap rescue ${image} -o NEW\` makes a new image`);
});

test('--carve writes the bytes of each to a new folder', async () => {
  const { image, folder } = await emptied();
  const carved = path.join(folder, 'carved');
  const { candidates } = await scanned(image, '--carve', carved);
  expect(readdirSync(carved).sort()).toEqual(candidates.map((one) => one.carved).sort());
  const bytes = readFileSync(image);
  for (const { carved: name, offset } of candidates) {
    const piece = readFileSync(path.join(carved, name!));
    expect(piece.equals(bytes.subarray(offset, offset + piece.length)), name).toBe(true);
  }
  const again = await qsnap(['scan', image, '--carve', carved]);
  expect(again.code).toBe(1);
  expect(again.stderr).toContain('exists');
});

test('its disk comes back, with a map of what is sure', async () => {
  const { image, folder, was } = await emptied();
  const [raw, map] = [path.join(folder, 'old.raw'), path.join(folder, 'old.jsonl')];
  const argv = ['recover', '--json', image, '--candidate', '1', '-o', raw, '--map', map];
  const { stdout, code } = await qsnap(argv);
  const done = parsed('recover', stdout) as Recovery;
  expect(readFileSync(raw).equals(was)).toBe(true);
  expect(done['candidate-bytes']).toBeGreaterThan(0);
  expect(done['reused-bytes']).toBe(0);
  // What the active disk alone has in common with it may have changed since.
  expect(code).toBe(done['unknown-bytes'] === 0 ? 0 : 2);
  const lines = readFileSync(map, 'utf8').trim().split('\n');
  let end = 0;
  for (const line of lines) {
    const { start, length } = parsed('recover', line) as { start: number; length: number };
    expect(start).toBe(end);
    end = start + length;
  }
  expect(end).toBe(was.length);
  const qcow2 = path.join(folder, 'old.qcow2');
  await qsnap(['recover', image, '--candidate', '1', '-o', qcow2]);
  const compared = await qsnap(['compare', qcow2, raw]);
  expect(compared.code, compared.stderr).toBe(0);
  await expectSound(qcow2);
});

// VM state that `-o` does not write was counted, and made the exit code 2 of a disk that is whole.
test('of what is written alone it is told what became of it', async () => {
  const whole = imageOf('vm-state');
  const folder = temporaryDirectory();
  const bytes = await deletedUnpunched(readFileSync(whole), 'running');
  const { stdout: located } = await qsnap([
    'locate',
    '--json',
    whole,
    '--guest',
    VM_STATE_AT,
    '-s',
    'running',
  ]);
  const { disks } = parsed('locate', located) as {
    readonly disks: readonly { readonly 'host-offset': number }[];
  };
  bytes.fill(0, disks[0]!['host-offset'], disks[0]!['host-offset'] + 65_536);
  const image = path.join(folder, 'emptied.qcow2');
  writeFileSync(image, bytes);
  const recovered = async (
    option: string,
    out: string,
  ): Promise<Recovery & { code: number; size: number; counted: number; mapped: number }> => {
    const map = path.join(folder, `${out}.jsonl`);
    const argv = [
      'recover',
      '--json',
      image,
      '--candidate',
      '1',
      option,
      path.join(folder, out),
      '--map',
      map,
    ];
    const { code, stdout, stderr } = await qsnap(argv);
    expect(stderr).toBe('');
    const done = parsed('recover', stdout) as Recovery;
    const counted =
      done['candidate-bytes'] + done['unknown-bytes'] + done['reused-bytes'] + done['empty-bytes'];
    const lines = readFileSync(map, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { length: number });
    const mapped = lines.reduce((sum, { length }) => sum + length, 0);
    return { ...done, code, size: done['disk-size'], counted, mapped };
  };
  const disk = await recovered('-o', 'old.raw');
  expect(disk).toMatchObject({ code: 0, counted: disk.size, 'unknown-bytes': 0 });
  const copy = await recovered('--into', 'copy.qcow2');
  expect(copy.code).toBe(2);
  expect(copy['unknown-bytes']).toBeGreaterThanOrEqual(65_536);
  expect(copy.counted).toBeGreaterThan(copy.size);
  expect([disk.mapped, copy.mapped]).toEqual([copy.counted, copy.counted]);
  await expectSound(path.join(folder, 'copy.qcow2'));
});

test('--into brings it back into a copy, and the other snapshots stay', async () => {
  const { image, folder, was } = await emptied();
  const copy = path.join(folder, 'copy.qcow2');
  const { stderr } = await qsnap(['recover', image, '--candidate', '1', '--into', copy]);
  expect(stderr).toBe('');
  const { stdout } = await qsnap(['list', copy]);
  expect(stdout).toContain(NAME);
  expect(stdout.match(/ 4 MiB /g)).toHaveLength(5);
  const raw = path.join(folder, 'again.raw');
  await qsnap(['export', copy, NAME, '-o', raw]);
  expect(readFileSync(raw).equals(was)).toBe(true);
  for (const id of ['1', '2', '4', '5']) {
    const compared = await qsnap(['compare', copy, image, '-s', `id:${id}`, '-w', `id:${id}`]);
    expect(compared.code, id).toBe(0);
  }
  await expectSound(copy);
});

test('--rebuild makes a copy without what is not to be believed', async () => {
  const image = imageOf('five-snapshots');
  const folder = temporaryDirectory();
  for (const part of ['header', 'snapshots', 'l1', 'refcounts']) {
    const copy = path.join(folder, `${part}.qcow2`);
    const { stdout, stderr } = await qsnap(['recover', image, '--rebuild', part, '-o', copy]);
    expect(stderr, part).toBe('');
    expect(stdout).toMatch(/\((certain|likely)\)/);
    const compared = await qsnap(['compare', copy, image]);
    expect(compared.code, part).toBe(0);
    await expectSound(copy);
  }
});

test('what does not go together is refused before anything is made', async () => {
  const { image, folder } = await emptied();
  const out = path.join(folder, 'x.raw');
  const cases: readonly (readonly [argv: readonly string[], what: string])[] = [
    [[], 'name a --candidate'],
    [['--candidate', '1'], 'name one new file'],
    [['--candidate', '1', '-o', out, '--into', out], 'name one new file'],
    [['--candidate', '0', '-o', out], 'Write the number'],
    [['--rebuild', 'header'], '--output'],
    [['--rebuild', 'header', '--candidate', '1', '-o', out], 'no candidate'],
    [['--candidate', '1', '--into', out, '-f', 'raw'], '--format is for --output'],
    [['--candidate', '1', '-o', out, '--map', out], 'can not be one file'],
    [['--candidate', '1', '-o', out, '--cluster-size', '4k'], 'is for --rebuild'],
    [['--candidate', '99', '-o', out], 'there is no candidate 99'],
    [['--candidate', '1', '-o', image], 'is read'],
  ];
  for (const [argv, what] of cases) {
    const { code, stderr } = await qsnap(['recover', image, ...argv]);
    expect(code, argv.join(' ')).not.toBe(0);
    expect(stderr, argv.join(' ')).toContain(what);
    expect(existsSync(out)).toBe(false);
  }
  const table = (await scanned(image)).candidates.find(({ kind }) => kind === 'snapshot-table')!;
  const { stderr } = await qsnap(['recover', image, '--candidate', `${table.number}`, '-o', out]);
  expect(stderr).toContain('is no disk');
  mkdirSync(path.join(folder, 'there'));
});

test('without a header tables are found all the same', async () => {
  const { image } = await emptied();
  const bytes = readFileSync(image);
  bytes.fill(0, 0, 512);
  writeFileSync(image, bytes);
  const { candidates } = await scanned(image);
  expect(candidates.filter(({ kind }) => kind === 'snapshot').length).toBeGreaterThanOrEqual(5);
  const { code, stderr } = await qsnap([
    'recover',
    image,
    '--candidate',
    '1',
    '-o',
    `${image}.raw`,
  ]);
  expect(code).toBe(1);
  expect(stderr).toContain('qsnap rescue');
});

test('no file that the image names is replaced, --force or not', async () => {
  const folder = temporaryDirectory();
  const image = path.join(folder, 'overlay.qcow2');
  writeFileSync(image, await deletedUnpunched(loadFixture('backing'), 'first'));
  copyCompanions('backing', folder);
  const base = path.join(folder, 'base.raw');
  const before = readFileSync(base);
  for (const argv of [
    ['--backing', '-o', base],
    ['--into', base],
    ['-o', path.join(folder, 'new.raw'), '--backing', '--map', base],
  ]) {
    const { code, stderr } = await qsnap([
      'recover',
      image,
      '--candidate',
      '1',
      '--force',
      ...argv,
    ]);
    expect(code, argv.join(' ')).toBe(1);
    expect(stderr, argv.join(' ')).toMatch(/read|names/);
    expect(readFileSync(base).equals(before), argv.join(' ')).toBe(true);
  }
});
