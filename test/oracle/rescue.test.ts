/**
 * Images that QEMU made, damaged and rescued: QEMU finds the copy without errors, and reads from each
 * disk that can come back what it read before.
 */
import { promises } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkImage } from '../../src/read/check/check-image.js';
import { memoryDevice } from '../../src/io/memory.js';
import { chooseRescued, isAllRescued } from '../../src/make/rescue/choose.js';
import { planRescue } from '../../src/make/rescue/plan-rescue.js';
import type { RescuePlan } from '../../src/make/rescue/rescue-plan.js';
import { writeRescued } from '../../src/make/rescue/write-copy.js';
import { memoryDirectory, removeDirectories } from '../support/directories.js';
import { layoutOf, snapshotsOf } from '../support/image-builder.js';
import { flipBit, offsetAt } from '../support/image-builder-layout.js';
import { makeImage, use } from '../support/made-images.js';
import { contentHash, describeWithQemu, expectClean } from '../support/qemu.js';
import { oneInWithEach } from '../support/left-out.js';

/** What is made of an image, and of which disks all has to come back. */
interface Kind {
  readonly name: string;
  /** Changes the bytes. */
  readonly damage: (bytes: Uint8Array) => void;
  /** Disks of which something else may be read, or that may lose their names. */
  readonly except?: readonly ('active' | 'one' | 'two')[];
  /** What is said of a disk that is not as it was named. */
  readonly found?: Partial<Record<string, string>>;
}

const zeroed = (bytes: Uint8Array, at: number, length: number): void => {
  bytes.fill(0, at, at + length);
};

const KINDS: readonly Kind[] = [
  { name: 'nothing', damage: () => undefined },
  {
    name: 'refcount table at 0',
    damage: (bytes) => {
      zeroed(bytes, 48, 8);
    },
  },
  {
    name: 'refcount table zeroed',
    damage: (bytes) => {
      zeroed(bytes, offsetAt(bytes, 48), layoutOf(bytes).clusterBytes);
    },
  },
  {
    name: 'refcount block zeroed',
    damage: (bytes) => {
      zeroed(bytes, offsetAt(bytes, offsetAt(bytes, 48)), layoutOf(bytes).clusterBytes);
    },
  },
  {
    name: 'active L1 zeroed',
    damage: (bytes) => {
      zeroed(bytes, layoutOf(bytes).l1At, layoutOf(bytes).l1Entries * 8);
    },
    found: { active: 'rebuilt' },
  },
  {
    name: 'L1 of a snapshot zeroed',
    damage: (bytes) => {
      const { l1At, l1Entries } = snapshotsOf(bytes).snapshots[0]!;
      zeroed(bytes, l1At, l1Entries * 8);
    },
    found: { 'snapshot-1': 'rebuilt' },
  },
  {
    name: 'snapshot table zeroed',
    damage: (bytes) => {
      zeroed(bytes, offsetAt(bytes, 64), layoutOf(bytes).clusterBytes);
    },
    except: ['one', 'two'],
  },
  {
    name: 'active L1 pointer past the end',
    damage: (bytes) => {
      flipBit(bytes, 40, 40);
    },
  },
  {
    name: 'snapshot table pointer past the end',
    damage: (bytes) => {
      flipBit(bytes, 64, 41);
    },
  },
  {
    name: 'L1 entry past the end',
    damage: (bytes) => {
      flipBit(bytes, layoutOf(bytes).l1At, 42);
    },
  },
  {
    name: 'L2 entry past the end',
    damage: (bytes) => {
      flipBit(bytes, offsetAt(bytes, layoutOf(bytes).l1At), 43);
    },
  },
  {
    name: 'header overwritten',
    damage: (bytes) => {
      bytes.fill(0x2e, 0, 512);
    },
    found: { active: 'unnamed' },
  },
];

/** Options of `qemu-img create`, by a name. */
const IMAGES: Readonly<Record<string, string>> = {
  'clusters of 64 KiB': 'cluster_size=64k',
  'clusters of 4 KiB': 'cluster_size=4k',
  'version 2': 'compat=0.10',
  'extended L2 entries': 'extended_l2=on,cluster_size=16k',
  'refcounts of 32 bits': 'refcount_bits=32',
};

const made = new Map<string, Uint8Array>();
let directory = '';

async function imageBytes(options: string): Promise<Uint8Array> {
  const file = path.join(directory, 'made.qcow2');
  const first = ['write -P 1 0 1M', 'write -P 2 4M 512k', 'write -z 6M 64k'];
  await makeImage(file, '8M', options, first, 'snapshot one');
  await use(file, ['write -P 3 512k 256k', 'write -P 4 5M 64k'], 'snapshot two');
  await use(file, ['write -P 5 768k 128k', 'write -P 6 7M 64k']);
  return promises.readFile(file);
}

async function rescued(bytes: Uint8Array, file: string): Promise<RescuePlan> {
  const plan = await planRescue(memoryDevice(bytes));
  const copy = memoryDevice();
  await writeRescued(plan, chooseRescued(plan), copy);
  const { totals, beyondQemu } = await checkImage(copy);
  expect(totals.corruptions + totals.leaks + totals.checkErrors + beyondQemu.corruptions).toBe(0);
  await promises.writeFile(file, copy.snapshotBytes());
  return plan;
}

describeWithQemu('what a rescue brings back', () => {
  beforeAll(async () => {
    directory = memoryDirectory();
    for (const [name, options] of Object.entries(IMAGES)) made.set(name, await imageBytes(options));
  });
  afterAll(removeDirectories);

  const cases = Object.keys(IMAGES).flatMap((image) => KINDS.map((kind) => ({ image, kind })));
  const kindsOf = ({ image, kind }: (typeof cases)[number]) => [image, kind.name];
  test.each(oneInWithEach(8, cases, kindsOf))('$image: $kind.name', async ({ image, kind }) => {
    const whole = made.get(image)!;
    const before = path.join(directory, 'before.qcow2');
    await promises.writeFile(before, whole);
    const damaged = new Uint8Array(whole);
    const copy = path.join(directory, 'copy.qcow2');
    kind.damage(damaged);
    const plan = await rescued(damaged, copy);
    await expectClean(copy);
    const guesses = plan.disks.filter(({ sureness }) => sureness === 'guess');
    if (guesses.length > 0) expect(isAllRescued(plan, chooseRescued(plan))).toBe(false);
    // A table that is in no snapshot may have been anywhere: its disk is a guess, and not taken.
    const isGuess = guesses.some((disk) => disk.kind === 'active');
    const except = isGuess ? ['active', ...(kind.except ?? [])] : (kind.except ?? []);
    if (!except.includes('active')) {
      expect(await contentHash(copy)).toBe(await contentHash(before));
    }
    for (const [id, name] of [
      ['1', 'one'],
      ['2', 'two'],
    ] as const) {
      if (!except.includes(name)) {
        expect(await contentHash(copy, id)).toBe(await contentHash(before, id));
      }
    }
    for (const [id, origin] of Object.entries(kind.found ?? {})) {
      expect(plan.disks.find((disk) => disk.id === id)?.origin).toBe(origin);
    }
  });

  test('snapshots whose table is gone come back without their names', async () => {
    const whole = made.get('clusters of 64 KiB')!;
    const damaged = new Uint8Array(whole);
    zeroed(damaged, offsetAt(damaged, 64), 65536);
    const before = path.join(directory, 'before.qcow2');
    const copy = path.join(directory, 'copy.qcow2');
    await promises.writeFile(before, whole);
    const plan = await rescued(damaged, copy);
    expect(plan.snapshotsLost).toBe(2);
    expect(isAllRescued(plan, chooseRescued(plan))).toBe(false);
    const want = [await contentHash(before, '1'), await contentHash(before, '2')].sort();
    expect([await contentHash(copy, '1'), await contentHash(copy, '2')].sort()).toEqual(want);
  });

  test('an older header over a newer image: what it does not know of is found', async () => {
    const file = path.join(directory, 'older.qcow2');
    await makeImage(file, '8M', '', 'write -P 1 0 1M', 'snapshot one');
    const older = (await promises.readFile(file)).subarray(0, 512);
    await use(file, 'write -P 2 0 256k', 'snapshot two', 'write -P 3 256k 256k');
    const whole = await promises.readFile(file);
    const damaged = new Uint8Array(whole);
    damaged.set(older);
    const copy = path.join(directory, 'copy.qcow2');
    await rescued(damaged, copy);
    await expectClean(copy);
    expect(await contentHash(copy)).toBe(await contentHash(file));
    for (const id of ['1', '2'])
      expect(await contentHash(copy, id)).toBe(await contentHash(file, id));
  });

  test.each([
    { name: '2 MiB', bit: 21 },
    { name: '1 KiB', bit: 10 },
  ])('a size that differs from the snapshots by one bit is in doubt: by $name', async ({ bit }) => {
    const bytes = new Uint8Array(made.get('clusters of 64 KiB')!);
    flipBit(bytes, 24, bit);
    const plan = await planRescue(memoryDevice(bytes));
    const [active] = plan.disks;
    expect(active).toMatchObject({ kind: 'active', sizeInDoubt: true, sureness: 'likely' });
    expect(isAllRescued(plan, chooseRescued(plan))).toBe(false);
    // The size that was asked for is not in doubt.
    const told = await planRescue(memoryDevice(bytes), { diskSizeBytes: 8 * 2 ** 20 });
    expect(told.disks[0]).toMatchObject({ diskSizeBytes: 8 * 2 ** 20, sizeInDoubt: false });
  });

  test('a size without a flipped bit is not in doubt', async () => {
    for (const bytes of made.values()) {
      const plan = await planRescue(memoryDevice(bytes));
      expect(plan.disks.map(({ sizeInDoubt }) => sizeInDoubt)).not.toContain(true);
    }
  });

  test('a size smaller than what is mapped is in doubt without snapshots, too', async () => {
    const file = path.join(directory, 'alone.qcow2');
    await makeImage(file, '12M', '', 'write -P 1 11M 64k');
    const bytes = new Uint8Array(await promises.readFile(file));
    flipBit(bytes, 24, 22);
    const [active] = (await planRescue(memoryDevice(bytes))).disks;
    expect(active).toMatchObject({ diskSizeBytes: 8 * 2 ** 20, sizeInDoubt: true });
  });
});
