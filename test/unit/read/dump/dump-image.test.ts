/** What a dump says of sound images, of cut-off ones and of ones with wrong bytes. */
import { describe, expect, test } from 'vitest';
import { isQsnapError } from '../../../../src/errors.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import type { DumpedField } from '../../../../src/read/dump/dumped.js';
import { openForDump } from '../../../../src/read/dump/dumpable.js';
import { dumpImage, type DumpOptions } from '../../../../src/read/dump/dump-image.js';
import { expectedJson, fixtureNames, loadFixture } from '../../../support/fixture.js';
import { IS_PLAIN, oneIn } from '../../../support/left-out.js';
import { mutate, seededRandom, victimOf } from '../../../support/mutate.js';

async function dumped(bytes: Uint8Array, options: DumpOptions = {}): Promise<DumpedField[]> {
  const image = await openForDump(memoryDevice(bytes));
  const all: DumpedField[] = [];
  for await (const fields of dumpImage(image, options)) for (const one of fields) all.push(one);
  return all;
}

const valueOf = (fields: readonly DumpedField[], name: string, structure = 'header') =>
  fields.find((one) => one.name === name && one.structure === structure)?.value;

function put32(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const copy = bytes.slice();
  new DataView(copy.buffer).setUint32(at, value);
  return copy;
}

describe.each(oneIn(2, fixtureNames()))('%s', (name) => {
  const bytes = loadFixture(name);

  test('every field has the bytes of the file at its place', async () => {
    const fields = await dumped(bytes);
    expect(fields.length).toBeGreaterThan(1);
    for (const field of fields) {
      const there = bytes.subarray(field.at, field.at + field.bytes.length);
      expect(Buffer.compare(there, field.bytes), `${field.structure} ${field.name}`).toBe(0);
      expect(field.bytes.length, field.name).toBeLessThanOrEqual(field.length);
    }
  });

  test('the header is what qemu-img info says', async () => {
    const info = expectedJson(name, 'info.json') as Record<string, unknown> | null;
    if (info === null || info['format'] !== 'qcow2') return;
    const fields = await dumped(bytes, { parts: ['header', 'snapshots'] });
    expect(valueOf(fields, 'size')).toBe(info['virtual-size']);
    expect(2 ** Number(valueOf(fields, 'cluster_bits'))).toBe(info['cluster-size']);
    expect(valueOf(fields, 'backing_file_name')).toBe(info['backing-filename']);
    const snapshots = (info['snapshots'] ?? []) as { id: string; 'date-sec': number }[];
    expect(valueOf(fields, 'nb_snapshots')).toBe(snapshots.length);
    for (const [i, { id, 'date-sec': date }] of snapshots.entries()) {
      expect(valueOf(fields, 'id_str', `snapshot ${i}`)).toBe(id);
      expect(valueOf(fields, 'date_sec', `snapshot ${i}`)).toBe(date);
    }
  });
});

test('each entry told by itself adds up to the ranges', async () => {
  const counted = (fields: readonly DumpedField[]): number =>
    fields.reduce((sum, { entries: run }) => sum + (run ? run.last - run.first + 1 : 0), 0);
  for (const name of [
    'cluster-512',
    'refcount-1',
    'extended-l2-16k',
    'compressed-zlib',
    'bitmaps',
  ]) {
    const bytes = loadFixture(name);
    const entries = await dumped(bytes, { every: true });
    expect(counted(entries), name).toBe(counted(await dumped(bytes)));
    expect(entries.every(({ entries: run }) => run === undefined || run.first === run.last)).toBe(
      true,
    );
  }
});

test('a sound image has no field that is marked', async () => {
  for (const name of [
    'five-snapshots',
    'everything',
    'luks',
    'bitmaps',
    'extended-l2',
    'data-file',
  ]) {
    const marked = (await dumped(loadFixture(name))).filter(({ problem }) => problem);
    expect(marked, name).toEqual([]);
  }
});

test('big tables are a few ranges', async () => {
  const fields = await dumped(loadFixture('five-snapshots'), { parts: ['l2'], disk: 'active' });
  const entries = fields.filter(({ text }) => text.startsWith('allocated, host'));
  expect(entries.length).toBeGreaterThan(0);
  expect(fields.length).toBeLessThan(30);
});

test('a value out of range says what would be right', async () => {
  const bytes = loadFixture('five-snapshots');
  const expectedOf = async (at: number, value: number, name: string) => {
    const fields = await dumped(put32(bytes, at, value), { parts: ['header'] });
    return fields.find((one) => one.name === name)?.problem?.expected;
  };
  expect(await expectedOf(20, 99, 'cluster_bits')).toBe('9 to 21');
  expect(await expectedOf(20, 0xffff_ffff, 'cluster_bits')).toBe('9 to 21');
  expect(await expectedOf(4, 7, 'version')).toBe('version 2 or 3');
  expect(await expectedOf(32, 3, 'crypt_method')).toBe('0 (none), 1 (AES) or 2 (LUKS)');
  expect(await expectedOf(44, 17, 'l1_table_offset')).toMatch(/^a multiple of/);
  expect(await expectedOf(0, 17, 'magic')).toBe('0x514649fb');
});

test('a version that nobody knows is read as version 3, and marked', async () => {
  const fields = await dumped(put32(loadFixture('five-snapshots'), 4, 4));
  expect(valueOf(fields, 'header_length')).toBe(112);
  expect(valueOf(fields, 'name', 'snapshot 4')).toBe('release candidate');
  expect(fields.filter(({ problem }) => problem).map(({ name }) => name)).toEqual(['version']);
});

test('a header alone is read, and all that lies behind it is told to be past the end', async () => {
  const fields = await dumped(loadFixture('five-snapshots').subarray(0, 512));
  expect(valueOf(fields, 'nb_snapshots')).toBe(5);
  expect(fields.some(({ part, problem }) => part === 'l1' && problem)).toBe(true);
  const snapshots = fields.filter(({ part }) => part === 'snapshots');
  expect(snapshots.map(({ text }) => text)).toEqual([
    expect.stringContaining('5 entries from entry 0 on lie past the end of the file'),
  ]);
});

test('a file that ends within a field says so there', async () => {
  const fields = await dumped(loadFixture('five-snapshots').subarray(0, 42), { parts: ['header'] });
  const cut = fields.find(({ name }) => name === 'l1_table_offset')!;
  expect(cut).toMatchObject({ text: 'the file ends at 0x2a', problem: { expected: '8 bytes' } });
});

test('images cut off at every sector are read as far as they go', async () => {
  for (const name of ['cluster-512', 'bitmaps-snapshots', 'luks']) {
    const bytes = loadFixture(name);
    const step = Math.max(512, Math.floor(bytes.length / 60 / 512) * 512);
    for (let end = 0; end < bytes.length; end += step) {
      const cut = bytes.subarray(0, end);
      for (const field of await dumped(cut)) {
        const there = cut.subarray(field.at, field.at + field.bytes.length);
        expect(Buffer.compare(there, field.bytes), `${name} ${end} ${field.name}`).toBe(0);
      }
    }
  }
});

test('wrong bytes give fields or an error of the engine, and not more than the file has', async () => {
  const random = seededRandom(Number(process.env['QSNAP_SEED'] ?? 7));
  for (const name of ['cluster-512', 'bitmaps-snapshots', 'extended-l2', 'snapshots-300', 'luks']) {
    const victim = victimOf(loadFixture(name));
    for (let round = 0; round < (IS_PLAIN ? 8 : 20); round++) {
      const mutant = mutate(victim, random);
      try {
        const fields = await dumped(mutant.bytes);
        expect(fields.length, mutant.description).toBeLessThan(mutant.bytes.length);
      } catch (error) {
        expect(isQsnapError(error), `${name}: ${mutant.description}: ${String(error)}`).toBe(true);
      }
    }
  }
});

test('tables that overlap are not read again and again', async () => {
  const bytes = loadFixture('snapshots-300');
  const image = await openForDump(memoryDevice(bytes));
  // Every snapshot claims an L1 table that goes on to the end of the file, each from another place.
  const snapshots = image.snapshots.map((one, i) => ({
    ...one,
    l1: { at: i * image.geometry!.clusterBytes, entries: 2 ** 22 },
  }));
  let entries = 0;
  let overlaps = 0;
  for await (const some of dumpImage({ ...image, snapshots }, { parts: ['l1'] })) {
    for (const { length, bytes: stored, text } of some) {
      if (stored.length > 0) entries += length;
      if (text.includes('lies over one')) overlaps += 1;
    }
  }
  expect(entries).toBeLessThanOrEqual(bytes.length);
  expect(overlaps).toBeGreaterThan(200);
});

test('a dump ends when it is told to', async () => {
  const image = await openForDump(memoryDevice(loadFixture('five-snapshots')));
  const signal = AbortSignal.abort();
  const run = async (): Promise<void> => {
    for await (const fields of dumpImage(image, { signal })) expect(fields).not.toEqual([]);
  };
  await expect(run()).rejects.toMatchObject({ code: 'ABORTED' });
});
