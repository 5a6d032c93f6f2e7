/**
 * QEMU goes on writing to an image that qsnap edited: no snapshot changes, nothing breaks. A COPIED
 * flag that lies would show here, since QEMU then writes into a snapshot's clusters.
 *
 * QSNAP_SEED repeats a run, QSNAP_ROUNDS makes it longer.
 */
import path from 'node:path';
import { expect, test } from 'vitest';
import {
  findSnapshot,
  planApply,
  planCreate,
  planDelete,
  planRename,
  type EditPlan,
  type Image,
  type OpenImage,
} from '../../src/index.js';
import {
  coveringOptions,
  createArgument,
  diskBytesOf,
  nameOfOptions,
  type ImageOptions,
} from '../support/model-options.js';
import { randomFrom, roundsOf, seedOf } from '../support/model-random.js';
import { edit, guestCommands } from '../support/model-twin.js';
import { oneInWithEach } from '../support/left-out.js';
import { memoryDirectory } from '../support/directories.js';
import { makeImage } from '../support/made-images.js';
import { contentHash, describeWithQemu, expectClean, qemuIo } from '../support/qemu.js';
import type { BlockDevice } from '../../src/io/device.js';

const seed = seedOf() + 1;
/** So many have images of all kinds among them. */
const LEAST_ROUNDS = 6;
const rounds = Math.max(LEAST_ROUNDS, roundsOf(LEAST_ROUNDS));
const date = { seconds: 1_700_000_000, nanoseconds: 0 };

/** The operations, each with the names that it leaves. */
const operations: readonly {
  readonly what: string;
  readonly plan: (image: OpenImage<BlockDevice>) => Promise<EditPlan<BlockDevice>>;
  readonly names: readonly string[];
}[] = [
  { what: 'create', plan: (image) => planCreate(image, { name: 'a', date }), names: ['a'] },
  { what: 'create', plan: (image) => planCreate(image, { name: 'b', date }), names: ['a', 'b'] },
  {
    what: 'apply',
    plan: (image) => planApply(image, named(image, 'a'), { discardChanges: true }),
    names: ['a', 'b'],
  },
  {
    what: 'apply, saving the active disk',
    plan: (image) => planApply(image, named(image, 'b'), { saveAs: { name: 'c', date } }),
    names: ['a', 'b', 'c'],
  },
  { what: 'delete', plan: (image) => planDelete(image, [named(image, 'b')]), names: ['a', 'c'] },
  {
    what: 'rename',
    plan: (image) => planRename(image, named(image, 'a'), 'first'),
    names: ['first', 'c'],
  },
  {
    what: 'delete all but one',
    plan: (image) => planDelete(image, [named(image, 'first')]),
    names: ['c'],
  },
];

const named = (image: Image, name: string) => findSnapshot(image.snapshots, `name:${name}`);

/** Whether there is room for four users of a cluster, and plain qemu-io can open the image. */
function isPlain(options: ImageOptions): boolean {
  const { encryption, bitmaps, backing, refcountBits, cluster } = options;
  return encryption === 'none' && !bitmaps && !backing && refcountBits >= 4 && cluster !== '2M';
}

describeWithQemu('guest writes after every operation', () => {
  console.log(`QSNAP_SEED=${seed - 1} QSNAP_ROUNDS=${rounds}`);
  const all = coveringOptions(randomFrom(seed), rounds, isPlain).map((options, i) => ({
    options,
    own: seed + i,
  }));
  const cases = oneInWithEach(6, all, ({ options: { compat, extendedL2 } }) => [
    compat,
    extendedL2 ? 'extended' : 'plain',
  ]);
  test('there are cases of both versions, with and without extended L2', () => {
    expect(new Set(cases.map(({ options }) => options.compat)).size).toBe(2);
    expect(new Set(cases.map(({ options }) => options.extendedL2)).size).toBe(2);
  });
  for (const { options, own } of cases) {
    test(`${own - seed}: ${nameOfOptions(options)}`, () => writeAfterEach(options, own));
  }
});

/** All operations on one image, four sessions of guest writes after each. */
async function writeAfterEach(options: ImageOptions, own: number): Promise<void> {
  const random = randomFrom(own);
  const image = path.join(memoryDirectory(), 'image.qcow2');
  const size = diskBytesOf(options);
  await makeImage(image, String(size), createArgument(options));
  const write = async (): Promise<void> => {
    const sessions = [0, 1, 2, 3].flatMap(() => guestCommands(random, options, size));
    const commands = sessions.map((command) => command.replace('-s pattern.bin', '-P 77'));
    const opened = `driver=qcow2,discard=unmap,file.filename=${image}`;
    // Code 1: QEMU refuses to write a compressed cluster over another of the active disk.
    await qemuIo(opened, commands, { imageOpts: true, okCodes: [0, 1] });
  };
  await write();
  for (const { what, plan, names } of operations) {
    const active = await contentHash(image);
    await edit(image, plan);
    const before = await hashes(image, names);
    // What the operation says of the active disk, before any guest touches it.
    if (what === 'create') expect(before.get(names.at(-1)!)).toBe(active);
    if (what === 'apply') expect(before.get('a')).toBe(await contentHash(image));
    if (what === 'delete') expect(await contentHash(image)).toBe(active);
    await write();
    expect(await contentHash(image)).not.toBe(active);
    expect(await hashes(image, names), `after ${what} and guest writes`).toEqual(before);
    await expectClean(image);
  }
}

/** Content of each snapshot, by name. */
async function hashes(image: string, names: readonly string[]): Promise<Map<string, string>> {
  const content = await Promise.all(
    names.map(async (name) => [name, await contentHash(image, name)] as const),
  );
  return new Map(content);
}
