/** `locate`: where a guest offset lies, and who has a host cluster. */
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { layoutOf } from '../../support/image-builder.js';
import { imageOf, parsed, qsnap } from './harness.js';

interface Guest {
  readonly disks: readonly { readonly kind: string; readonly 'host-offset'?: number }[];
}
interface Located {
  readonly disks: readonly {
    readonly kind: string;
    readonly 'l1-entry'?: { readonly offset: number };
    readonly 'l2-entry'?: { readonly offset: number };
  }[];
}
interface Cluster {
  readonly cluster: number;
  readonly refcount: number;
  readonly references: number;
  readonly owners: readonly { readonly kind: string; readonly 'guest-offset'?: number }[];
}

async function located(image: string, ...argv: string[]): Promise<unknown> {
  const { stdout } = await qsnap(['locate', '--json', image, ...argv]);
  return parsed('locate', stdout);
}

test('there and back, and nothing is written', async () => {
  const image = imageOf('five-snapshots');
  const before = { bytes: readFileSync(image), mtime: statSync(image).mtimeMs };
  const there = (await located(image, '--guest', '0x10200', '--all')) as Guest;
  expect(there.disks).toHaveLength(6);
  const host = there.disks[0]!['host-offset']!;
  const back = (await located(image, '--host', String(host))) as Cluster;
  expect(back.references).toBe(back.refcount);
  expect(back.owners.map((one) => one['guest-offset'])).toContain(0x10000);
  const same = (await located(image, '--cluster', String(back.cluster))) as Cluster;
  expect(same.owners).toEqual(back.owners);
  expect(readFileSync(image).equals(before.bytes)).toBe(true);
  expect(statSync(image).mtimeMs).toBe(before.mtime);
});

test('structures are told by their names', async () => {
  const image = imageOf('five-snapshots');
  const { l1At } = layoutOf(readFileSync(image));
  const kindsAt = async (at: number) =>
    ((await located(image, '--host', `0x${at.toString(16)}`)) as Cluster).owners.map(
      (one) => one.kind,
    );
  expect(await kindsAt(0)).toEqual(['main-header']);
  expect(await kindsAt(l1At + 8)).toEqual(['active-l1']);
  expect(await kindsAt(2 ** 40)).toEqual([]);
});

test('one snapshot, by offsets in any form', async () => {
  const image = imageOf('five-snapshots');
  const answers = [];
  for (const offset of ['1M', '0x100000', '1048576']) {
    answers.push(await located(image, '--guest', offset, '-s', 'id:2'));
  }
  expect(new Set(answers.map((one) => JSON.stringify(one))).size).toBe(1);
});

test('an entry that can not be right makes the exit code 1', async () => {
  const image = imageOf('five-snapshots');
  const bytes = readFileSync(image);
  const { l1At } = layoutOf(bytes);
  bytes.writeUInt8(1, l1At + 7);
  writeFileSync(image, bytes);
  const { code, stdout } = await qsnap(['locate', image, '--guest', '0']);
  expect(code).toBe(1);
  expect(stdout).toMatch(/L1 entry 0 at 0x30000: \w{16} {2}wrong: it has reserved bits set/);
});

// Entries behind the end were zeros, and so unallocated with exit code 0, where `map` says unreadable.
test.each([
  ['L1', 0, 0],
  ['L1', 0, 4],
  ['L2', 0, 4],
  ['L2', 1, 8],
  ['L2', 1, 15],
] as const)('of an %s table entry %i lies behind its %i bytes', async (table, index, bytes) => {
  const guest = `0x${index}0000`;
  const image = imageOf('five-snapshots');
  const { l1At } = layoutOf(readFileSync(image));
  const { disks } = (await located(image, '--guest', '0')) as Located;
  const at = table === 'L1' ? l1At : disks[0]!['l2-entry']!.offset;
  truncateSync(image, at + bytes);
  const { code, stdout } = await qsnap(['locate', image, '--guest', guest]);
  expect({ code, stdout }).toEqual({
    code: 1,
    stdout: expect.stringMatching(/^active disk, guest 0x\d+: unreadable\n/) as unknown,
  });
  const entryAt = at + 8 * index;
  const place = `${table} entry ${index} at 0x${entryAt.toString(16)}`;
  expect(stdout).toContain(`  ${place} lies past the end of the file\n`);
  const json = await qsnap(['locate', '--json', image, '--guest', guest]);
  expect(json.code).toBe(1);
  const entry = { index, offset: entryAt, problem: 'lies past the end of the file' };
  const told = (parsed('locate', json.stdout) as Located).disks[0]!;
  expect(told.kind).toBe('unreadable');
  expect(table === 'L1' ? told['l1-entry'] : told['l2-entry']).toEqual(entry);
});

// It was told as data, with exit code 0.
test('a byte of a cluster that the file ends in, before the byte', async () => {
  const image = imageOf('five-snapshots');
  const { disks } = (await located(image, '--guest', '0x1ffff')) as Guest;
  const at = disks[0]!['host-offset']!;
  const cluster = at - 0xffff;
  truncateSync(image, cluster + 0x8000);
  expect((await qsnap(['locate', image, '--guest', '0x17fff'])).code).toBe(0);
  const { code, stdout } = await qsnap(['locate', image, '--guest', '0x1ffff']);
  expect(code).toBe(1);
  const host = `host 0x${at.toString(16)}, past the end of the file`;
  expect(stdout).toContain(`active disk, guest 0x1ffff: data, ${host}`);
  const cut = (await located(image, '--guest', '0x1ffff')) as Guest;
  expect(cut.disks[0]).toMatchObject({ kind: 'data', 'host-offset': at, 'in-file': false });
  const back = await qsnap(['locate', image, '--host', String(at)]);
  const end = `in which the file ends at 0x${(cluster + 0x8000).toString(16)}`;
  expect(back.stdout).toContain(`at 0x${cluster.toString(16)}, ${end}: `);
});

// It was a refcount of 0 where nothing is stored.
test('a refcount behind the end of the file is not known', async () => {
  const image = imageOf('five-snapshots');
  const { 'refcount-offset': at } = (await located(image, '--cluster', '3')) as {
    readonly 'refcount-offset': number;
  };
  truncateSync(image, at + 1);
  const { code, stdout } = await qsnap(['locate', image, '--cluster', '3']);
  expect(code).toBe(1);
  expect(stdout).toContain(`its refcount lies past the end of the file, at 0x${at.toString(16)}, `);
  const json = await qsnap(['locate', '--json', image, '--cluster', '3']);
  expect(parsed('locate', json.stdout)).not.toHaveProperty('refcount');
});

test.each([
  [[], 'name one place'],
  [['--guest', '0', '--host', '0'], 'name one place'],
  [['--host', '0', '--all'], 'are for --guest'],
  [['--guest', '0', '--all', '-s', '1'], 'cannot be used with'],
  [['--guest', '-1'], 'offset'],
  [['--host', '0', '--partition'], 'is for --guest'],
  [['--guest', '0', '--partition', 'x'], 'number of a partition'],
  [['--cluster', 'x'], 'number of a cluster'],
])('%j is refused', async (argv, message) => {
  const { code, stdout, stderr } = await qsnap(['locate', imageOf('never-written'), ...argv]);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toContain(message);
});

/** An image whose active disk has an MBR with one partition of Linux from 1 MiB on. */
async function partitioned(): Promise<string> {
  const image = imageOf('five-snapshots');
  const { disks } = (await located(image, '--guest', '0')) as Guest;
  const bytes = readFileSync(image);
  const at = disks[0]!['host-offset']!;
  bytes.fill(0, at + 446, at + 510);
  bytes.writeUInt8(0x83, at + 446 + 4);
  bytes.writeUInt32LE(2048, at + 446 + 8);
  bytes.writeUInt32LE(4096, at + 446 + 12);
  bytes.writeUInt16BE(0x55aa, at + 510);
  writeFileSync(image, bytes);
  return image;
}

test('offsets in partitions, there and back', async () => {
  const image = await partitioned();
  const there = (await located(image, '--guest', '0x1200', '--partition', '1')) as Guest;
  expect(there.disks).toMatchObject([
    {
      'guest-offset': 0x101200,
      'partition-table': 'mbr',
      partition: { number: 1, type: '83', start: 2 ** 20, length: 2 ** 21, offset: 0x1200 },
    },
  ]);
  const back = (await located(image, '--guest', '0x101200', '--partition')) as Guest;
  expect(back.disks).toEqual(there.disks);
  const { stdout } = await qsnap(['locate', image, '--guest', '0x101200', '--partition']);
  expect(stdout).toContain(
    'in partition 1 of the mbr, type 83, from 0x100000: 0x1200 into it, its sector 9',
  );
  const outside = await qsnap(['locate', image, '--guest', '0', '--partition']);
  expect(outside.stdout).toContain('in no partition of the mbr');
  const behind = await qsnap(['locate', image, '--guest', '0x200000', '--partition', '1']);
  expect(behind.code).toBe(1);
  expect(behind.stderr).toContain('partition 1 ends before the offset 0x200000');
  const missing = await qsnap(['locate', image, '--guest', '0', '--partition', '2']);
  expect(missing.code).toBe(1);
  expect(missing.stderr).toContain('the disk has no partition 2');
  const plain = await qsnap(['locate', imageOf('cluster-4k'), '--guest', '0', '--partition']);
  expect(plain.stdout).toContain('the disk has no partition table');
});
