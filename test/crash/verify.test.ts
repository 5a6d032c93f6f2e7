/**
 * `verify` against media that lie, and engines that are wrong: what would be harmed is found while
 * the old state still holds.
 */
import { afterAll, describe, expect, test } from 'vitest';
import { noWorseThan } from '../../src/read/check/refuse-unsound.js';
import { isQsnapError, type QsnapError } from '../../src/errors.js';
import { openImage } from '../../src/image/open.js';
import type { BlockDevice, WriteRequest } from '../../src/io/device.js';
import { memoryDevice } from '../../src/io/memory.js';
import { executePlan } from '../../src/edit/tx/execute.js';
import type { EditPlan, ShadowWrite } from '../../src/edit/tx/plan.js';
import { checkPlain, contentsOf } from '../support/crash-judge.js';
import { editNamed, editsFor, shortcomings, type Edit } from '../support/crash-judge-edits.js';
import { loadFixture } from '../support/fixture.js';
import { AS_READ } from '../support/table-content.js';
import { blockAt, blockEntries, layoutOf, putRefcountAt } from '../support/image-builder-layout.js';

/** What a medium makes of a write that it confirms; undefined: nothing. */
type Lie = (write: WriteRequest) => WriteRequest | undefined;

const LIES: Readonly<Record<string, Lie>> = {
  'a flipped bit': ({ at, bytes }) => {
    const flipped = bytes.slice();
    flipped[Math.floor(bytes.length / 3)]! ^= 4;
    return { at, bytes: flipped };
  },
  'a write that is lost': () => undefined,
  'half a write': ({ at, bytes }) => ({ at, bytes: bytes.subarray(0, bytes.length / 2) }),
  'a write in the wrong place': ({ at, bytes }) => ({ at: at + bytes.length, bytes }),
};

/** A medium that lies about its n-th write. */
function lying(
  bytes: Uint8Array,
  n: number,
  lie: Lie,
): { device: BlockDevice; writes: () => number; bytes: () => Uint8Array } {
  const memory = memoryDevice(bytes.slice());
  let writes = 0;
  const device: BlockDevice = {
    label: memory.label,
    growable: memory.growable,
    sizeBytes: () => memory.sizeBytes(),
    readBatch: (requests) => memory.readBatch(requests),
    flush: () => memory.flush(),
    punchBatch: (ranges) => memory.punchBatch(ranges),
    truncate: (sizeBytes) => memory.truncate(sizeBytes),
    close: () => memory.close(),
    writeBatch: async (batch) => {
      const told = batch.flatMap((write) => {
        writes += 1;
        const made = writes === n ? lie(write) : write;
        return made === undefined ? [] : [made];
      });
      await memory.writeBatch(told);
    },
  };
  return { device, writes: () => writes, bytes: () => memory.snapshotBytes() };
}

async function edited(
  device: BlockDevice,
  edit: Edit,
  options: {
    readonly verify: boolean;
    readonly alter?: (plan: EditPlan<BlockDevice>) => EditPlan<BlockDevice>;
  },
): Promise<QsnapError | undefined> {
  try {
    const image = await openImage(device);
    const plan = await edit.plan(image);
    const sizeBytes = image.fileSizeBytes + plan.facts.growthBytes;
    const verify = options.verify ? await noWorseThan(device, sizeBytes) : undefined;
    await executePlan(options.alter?.(plan) ?? plan, { verify });
    return undefined;
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    return error;
  }
}

const total = { lies: 0, caught: 0, harmless: 0, harmedUnverified: 0 };

describe.each(['cluster-512', 'compressed-v2', 'extended-l2-16k', 'refcount-64', 'zeros-v2'])(
  '%s',
  (fixture) => {
    const before = loadFixture(fixture);
    const { leaks } = checkPlain(before);
    const old = contentsOf(before);

    test.each(editsFor(before).map((edit) => ({ edit })))('$edit.name', async ({ edit }) => {
      const whole = lying(before, 0, () => undefined);
      expect(await edited(whole.device, edit, { verify: true })).toBeUndefined();
      const sides = [old, edit.model(old)];
      for (const [name, lie] of Object.entries(LIES)) {
        for (let n = 1; n <= whole.writes(); n++) {
          total.lies += 1;
          const medium = lying(before, n, lie);
          const error = await edited(medium.device, edit, { verify: true });
          if (error === undefined) {
            // What is lost or misplaced was there already.
            expect(shortcomings(medium.bytes(), { contents: [sides[1]!], leaks })).toEqual([]);
            total.harmless += 1;
            continue;
          }
          total.caught += 1;
          const isSwitch = n === whole.writes();
          // What the medium itself puts over the old state nobody can save; it is said, at least.
          const isHeader = isSwitch || n === 1;
          const isSpoiled = isHeader || name === 'a write in the wrong place';
          // A header that the medium has spoiled may be none any more.
          const codes = ['VERIFY_FAILED', 'IMAGE_CHANGED', 'READ_FAILED'];
          expect(n === 1 ? [...codes, 'HEADER_INVALID'] : codes).toContain(error.code);
          expect(error.details.imageState).toBe(isSwitch ? 'old-or-new' : 'old');
          const allowed = { contents: [old], leaks };
          if (!isSpoiled) expect(shortcomings(medium.bytes(), allowed)).toEqual([]);
          const unverified = lying(before, n, lie);
          const silent = await edited(unverified.device, edit, { verify: false });
          const harmed = shortcomings(unverified.bytes(), { contents: sides, leaks }).length > 0;
          if (silent === undefined && harmed) total.harmedUnverified += 1;
        }
      }
    });
  },
);

describe('an engine that is wrong', () => {
  const withWrite =
    (what: string, change: (write: ShadowWrite) => ShadowWrite) =>
    (plan: EditPlan<BlockDevice>): EditPlan<BlockDevice> => ({
      ...plan,
      shadow: plan.shadow.map((write) => (write.what === what ? change(write) : write)),
    });
  const MUTATIONS: readonly (readonly [
    string,
    string,
    (plan: EditPlan<BlockDevice>) => EditPlan<BlockDevice>,
  ])[] = [
    [
      'flags of L2 tables left as they were',
      'create',
      withWrite('L2 tables', (write) =>
        write.kind === 'tables' ? { ...write, content: AS_READ } : write,
      ),
    ],
    [
      'a refcount table of zeros',
      'create',
      withWrite('refcount table', (write) =>
        write.kind === 'literal' ? { ...write, bytes: new Uint8Array(write.bytes.length) } : write,
      ),
    ],
    [
      'an active L1 of zeros',
      'delete all but the first',
      withWrite('active L1', (write) =>
        write.kind === 'literal' ? { ...write, bytes: new Uint8Array(write.bytes.length) } : write,
      ),
    ],
  ];

  test.each(MUTATIONS)('%s, in %s', async (_, name, alter) => {
    const before = loadFixture('refcount-64');
    const device = memoryDevice(before.slice());
    const error = await edited(device, editNamed(name), { verify: true, alter });
    expect(error?.code).toBe('VERIFY_FAILED');
    expect(error?.details.imageState).toBe('old');
    const allowed = { contents: [contentsOf(before)], leaks: checkPlain(before).leaks };
    expect(shortcomings(device.snapshotBytes(), allowed)).toEqual([]);
  });
});

/** Refcounts of 1 for the clusters behind the end of the file that its blocks count. */
function withRefcountsBehindTheEnd(image: Uint8Array): Uint8Array {
  const bytes = image.slice();
  const layout = layoutOf(bytes);
  const { clusterBytes, refcountBits } = layout;
  const end = Math.ceil(bytes.length / clusterBytes);
  for (let cluster = end; cluster < end + 4; cluster++) {
    const block = blockAt(bytes, layout, cluster);
    if (block === 0) break;
    putRefcountAt(bytes, block, refcountBits, cluster % blockEntries(layout), 1n);
  }
  return bytes;
}

describe.each(['five-snapshots', 'cluster-512', 'refcount-1', 'refcount-64', 'refcount-leaks'])(
  'refcounts behind the end of %s are leaks that no edit is blamed for',
  (fixture) => {
    const before = withRefcountsBehindTheEnd(loadFixture(fixture));
    const old = contentsOf(before);
    const { leaks } = checkPlain(before);

    test.each(editsFor(before).map((edit) => ({ edit })))('$edit.name', async ({ edit }) => {
      const device = memoryDevice(before.slice());
      const error = await edited(device, edit, { verify: true });
      // A refcount of 1 bit counts no second reference.
      if (error?.code !== 'REFCOUNT_OVERFLOW') expect(error).toBeUndefined();
      const contents = [error === undefined ? edit.model(old) : old];
      expect(shortcomings(device.snapshotBytes(), { contents, leaks })).toEqual([]);
    });
  },
);

afterAll(() => {
  console.log(`verify: ${JSON.stringify(total)}`);
  expect(total.caught).toBeGreaterThan(100);
  // Without `verify` the same lies do harm.
  expect(total.harmedUnverified).toBeGreaterThan(50);
});
