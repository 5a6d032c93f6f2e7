/** Clusters by their numbers: who has them, and their bytes. */
import { expect, test } from 'vitest';
import {
  dumpImage,
  memoryDevice,
  openForDump,
  openImage,
  type DumpedField,
} from '../../../../src/index.js';
import { loadFixture } from '../../../support/fixture.js';
import { layoutOf } from '../../../support/image-builder.js';
import { blockAt, putRefcountAt } from '../../../support/image-builder-layout.js';

const CLUSTER = 65_536;

async function dumped(
  bytes: Uint8Array,
  cluster: number,
  every = false,
): Promise<readonly DumpedField[]> {
  const image = await openForDump(memoryDevice(bytes));
  const found: DumpedField[] = [];
  const options = { parts: [], clusters: [cluster], every };
  for await (const fields of dumpImage(image, options)) found.push(...fields);
  return found;
}

const dataOf = (fields: readonly DumpedField[]): readonly DumpedField[] =>
  fields.filter(({ name }) => name === 'data');

test('all that has a cluster is named, with the disks and their offsets', async () => {
  const fields = await dumped(loadFixture('five-snapshots'), 7);
  expect(fields[0]).toMatchObject({ part: 'cluster', name: 'refcount', value: 6 });
  expect(fields[0]!.problem).toBeUndefined();
  const owners = fields.filter(({ name }) => name === 'guest-data');
  const { snapshots } = await openImage(memoryDevice(loadFixture('five-snapshots')));
  expect(owners.map(({ text }) => text).sort()).toEqual([
    'guest 0x20000 of active disk',
    ...snapshots.map(({ id, name }) => `guest 0x20000 of snapshot ${id} "${name}"`),
  ]);
  const [header] = (await dumped(loadFixture('five-snapshots'), 0)).slice(1);
  expect(header).toMatchObject({ name: 'main-header', at: 0, text: 'of the image' });
});

test('lines that repeat are one, unless each is asked for; together they are the cluster', async () => {
  const bytes = loadFixture('five-snapshots');
  const few = dataOf(await dumped(bytes, 3));
  const every = dataOf(await dumped(bytes, 3, true));
  expect(every).toHaveLength(CLUSTER / 16);
  expect(few.length).toBeLessThan(every.length);
  expect(few.reduce((sum, { length }) => sum + length, 0)).toBe(CLUSTER);
  const joined = Buffer.concat(every.map((one) => one.bytes));
  expect(joined.equals(bytes.subarray(3 * CLUSTER, 4 * CLUSTER))).toBe(true);
});

test('a refcount that is not that of the references is marked', async () => {
  const bytes = loadFixture('five-snapshots').slice();
  const layout = layoutOf(bytes);
  putRefcountAt(bytes, blockAt(bytes, layout, 7), layout.refcountBits, 7, 9n);
  expect((await dumped(bytes, 7))[0]).toMatchObject({ value: 9, problem: { expected: '6' } });
});

test('a cluster behind the end, and of files that say too little', async () => {
  const bytes = loadFixture('five-snapshots');
  expect(dataOf(await dumped(bytes, 10_000))[0]!.problem).toEqual({ expected: '65536 bytes' });
  const lost = bytes.slice();
  lost.fill(0, 0, 4);
  const fields = await dumped(lost, 3);
  expect(fields[0]!.text).toBe('what refers to it is not known');
  expect(dataOf(fields).length).toBeGreaterThan(0);
  const sizeless = bytes.slice().fill(0xff, 20, 24);
  expect(await dumped(sizeless, 3)).toMatchObject([
    { text: 'how long a cluster is, is not known' },
  ]);
});
