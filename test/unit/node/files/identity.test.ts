import { closeSync, linkSync, openSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  fileIdentity,
  identityAtOnce,
  identityOf,
  identityOfName,
  leadsTo,
  removeOwnName,
  statOf,
} from '../../../../src/node/files/identity.js';
import { temporaryDirectory } from '../../../support/directories.js';

function stats(dev: bigint, ino: bigint, rdev: bigint, isBlockDevice: boolean): BigIntStats {
  return { dev, ino, rdev, isBlockDevice: () => isBlockDevice } as unknown as BigIntStats;
}

// File systems behind a network number files by hashes of 64 bits: a double holds 53 of them.
test('numbers past 2^53 that are neighbours are two files', () => {
  const [a, b] = [2n ** 60n, 2n ** 60n + 1n].map((ino) => identityOf(stats(1n, ino, 0n, false)));
  expect(Number(2n ** 60n)).toBe(Number(2n ** 60n + 1n));
  expect(a).not.toBe(b);
});

test('a block device is one by whatever device file', () => {
  expect(identityOf(stats(5n, 100n, 7n, true))).toBe(identityOf(stats(6n, 200n, 7n, true)));
  expect(identityOf(stats(5n, 100n, 7n, true))).not.toBe(identityOf(stats(5n, 100n, 8n, true)));
});

test('all names of a file, and the open file, are one; a link itself is another', async () => {
  const directory = temporaryDirectory();
  const [file, hard, soft] = ['file', 'hard', 'soft'].map((name) => join(directory, name));
  writeFileSync(file!, '');
  linkSync(file!, hard!);
  symlinkSync('file', soft!);
  const fd = openSync(file!, 'r');
  try {
    const identity = identityAtOnce(fd);
    expect(identityOf(await statOf(fd))).toBe(identity);
    for (const name of [file!, hard!, soft!]) expect(await fileIdentity(name)).toBe(identity);
    expect(identityOfName(hard!)).toBe(identity);
    expect(identityOfName(soft!)).not.toBe(identity);
    expect(await leadsTo(soft!, fd)).toBe(true);
    expect(await leadsTo(directory, fd)).toBe(false);
  } finally {
    closeSync(fd);
  }
});

test('what is not there has no identity', async () => {
  const nothing = join(temporaryDirectory(), 'nothing');
  expect(await fileIdentity(nothing)).toBeUndefined();
  expect(identityOfName(nothing)).toBeUndefined();
  expect(await leadsTo(nothing, 0)).toBe(false);
});

test('only the own name is removed, and nothing is said of what can not be', () => {
  const directory = temporaryDirectory();
  const [ours, theirs] = [join(directory, 'ours'), join(directory, 'theirs')];
  writeFileSync(ours, '');
  writeFileSync(theirs, '');
  const identity = identityOfName(ours)!;
  removeOwnName(theirs, identity);
  removeOwnName(join(directory, 'nothing'), identity);
  removeOwnName(directory, identityOfName(directory)!);
  expect(readdirSync(directory)).toEqual(['ours', 'theirs']);
  removeOwnName(ours, identity);
  expect(readdirSync(directory)).toEqual(['theirs']);
});
