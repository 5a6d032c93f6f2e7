import { describe, expect, test } from 'vitest';
import { planEdit } from '../../src/edit/plan/plan-edit.js';
import { isQsnapError } from '../../src/errors.js';
import type { OpenImage } from '../../src/image/image.js';
import { openImage } from '../../src/image/open.js';
import { memoryDevice, type MemoryDevice } from '../../src/io/memory.js';
import { LIMITS } from '../../src/qcow2/limits.js';
import { copiedL1, newEntry, planCreate } from '../../src/edit/snapshot/create.js';
import { planRename } from '../../src/edit/snapshot/rename.js';
import { executePlan } from '../../src/edit/tx/execute.js';
import type { EditPlan } from '../../src/edit/tx/plan.js';
import { checkPlain } from '../support/crash-judge.js';
import { loadFixture } from '../support/fixture.js';
import type { BlockDevice } from '../../src/io/device.js';

/** An edit at a limit is made whole or refused; never does it make an image that nobody opens. */
const DATE = { seconds: 1, nanoseconds: 0 };

/** Makes the edit unless it is refused; the code of the refusal. */
async function edit(
  device: MemoryDevice,
  plan: (image: OpenImage<BlockDevice>) => Promise<EditPlan<BlockDevice>>,
): Promise<string> {
  const before = device.snapshotBytes();
  try {
    await executePlan(await plan(await openImage(device)));
    return 'done';
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    expect(Buffer.compare(device.snapshotBytes(), before)).toBe(0);
    return error.code;
  }
}

async function expectSound(device: MemoryDevice): Promise<OpenImage> {
  expect(checkPlain(device.snapshotBytes()).corruptions).toEqual([]);
  return openImage(device);
}

test('the highest id that there can be has no next one that is too long', async () => {
  const device = memoryDevice(loadFixture('ids-with-gaps'));
  const id = '9'.repeat(LIMITS.snapshotIdBytesMax.value);
  await edit(device, (image) => planCreate(image, { name: 'highest', id, date: DATE }));
  await edit(device, (image) => planCreate(image, { name: 'next', date: DATE }));
  const { snapshots } = await expectSound(device);
  const ids = snapshots.map((snapshot) => snapshot.id);
  expect(ids).toContain(id);
  expect(new Set(ids).size).toBe(ids.length);
  for (const { idBytes } of snapshots) {
    expect(idBytes.length).toBeLessThanOrEqual(LIMITS.snapshotIdBytesMax.value);
  }
});

describe('a snapshot table of all but 64 MiB', () => {
  const COUNT = 511;
  const SPARE = 80;

  /** Entries with names and ids as long as their fields allow, the last one cut to fit. */
  async function full(): Promise<MemoryDevice> {
    const device = memoryDevice(loadFixture('no-snapshots'));
    const image = await openImage(device);
    const entryBytes = 40 + 24 + 2 * 65_535;
    const padded = Math.ceil(entryBytes / 8) * 8;
    const left = LIMITS.snapshotTableBytesMax.value - COUNT * padded - SPARE - 64;
    const entries = Array.from({ length: COUNT + 1 }, (_, i) => {
      const texts = i < COUNT ? 2 * 65_535 : left;
      const nameBytes = new Uint8Array(65_535).fill(0x61);
      const idBytes = new Uint8Array(texts - 65_535).fill(0x62);
      new TextEncoder().encodeInto(`n${i}_`, idBytes);
      return { ...newEntry(image, { name: 'x', date: DATE }), nameBytes, idBytes };
    });
    const { diskSizeBytes } = image.header;
    const plan = await planEdit(image, {
      operation: 'create',
      summary: 'fill the table',
      created: [],
      next: ({ activeL1 }) => {
        const snapshots = entries.map((entry) => ({ entry, l1: copiedL1(activeL1, image) }));
        return { diskSizeBytes, activeL1, snapshots };
      },
    });
    await executePlan(plan);
    return device;
  }

  test('takes no entry that makes it longer', { timeout: 60_000 }, async () => {
    const device = await full();
    const { snapshotTableBytes } = await openImage(device);
    expect(LIMITS.snapshotTableBytesMax.value - snapshotTableBytes).toBe(SPARE);
    const name = 'a name of more bytes than are left'.padEnd(200, '.');
    const code = await edit(device, (image) => planCreate(image, { name, date: DATE }));
    expect(code).toBe('LIMIT_EXCEEDED');
    const short = { name: 'short', date: DATE };
    expect(await edit(device, (image) => planCreate(image, short))).toBe('done');
    const renamed = await edit(device, (image) => {
      return planRename(image, image.snapshots.at(-1)!, name);
    });
    expect(renamed).toBe('LIMIT_EXCEEDED');
    expect((await openImage(device)).snapshots.length).toBe(COUNT + 2);
  });
});
