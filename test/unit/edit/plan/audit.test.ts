import { describe, expect, test } from 'vitest';
import {
  isQsnapError,
  memoryDevice,
  openImage,
  planRename,
  type OpenImage,
} from '../../../../src/index.js';
import { expectedExits, loadFixture } from '../../../support/fixture.js';

/** Any edit has the whole image audited first; this one changes least. */
async function rename(image: OpenImage): Promise<unknown> {
  try {
    const { facts } = await planRename(image, image.snapshots[0]!, 'another name');
    return facts.leakedClusters;
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    return error.message;
  }
}

async function renameFixture(name: string, change?: (bytes: Uint8Array) => void): Promise<unknown> {
  const bytes = loadFixture(name);
  change?.(bytes);
  return rename(await openImage(memoryDevice(bytes)));
}

/** What `qemu-img check` said about each cluster: its refcount and the references to it. */
function saidByQemu(name: string, word: 'ERROR' | 'Leaked'): { cluster: number; text: string }[] {
  const { stderr } = expectedExits(name)['check.json']!;
  const lines = stderr.matchAll(
    /^(?:.*\.)?(ERROR|Leaked) cluster (\d+) refcount=(\d+) reference=(\d+)$/gm,
  );
  return [...lines]
    .filter((line) => line[1] === word)
    .map(([, , cluster, refcount, references]) => ({
      cluster: Number(cluster),
      text: `is referred to ${references} time${references === '1' ? '' : 's'} but has a refcount of ${refcount}`,
    }));
}

describe('R8: a cluster with fewer refcounts than references makes an edit unsafe', () => {
  test.each(['refcount-too-low', 'refcount-zero'])(
    '%s: the first finding is the one that QEMU has first, in the same numbers',
    async (name) => {
      const [first] = saidByQemu(name, 'ERROR');
      const { geometry } = await openImage(memoryDevice(loadFixture(name)));
      const at = `0x${(first!.cluster * geometry.clusterBytes).toString(16)}`;
      expect(await renameFixture(name)).toContain(`the host cluster at ${at} ${first!.text}`);
    },
  );
});

describe('R10: clusters with more refcounts than references are harmless, and counted', () => {
  test.each([
    'bitmaps-autoclear-off',
    'five-snapshots',
    'bitmaps-snapshots',
    'compressed-spanning',
  ])('%s: as many as QEMU finds', async (name) => {
    expect(await renameFixture(name)).toBe(saidByQemu(name, 'Leaked').length);
  });

  test('refcount-leaks: those that QEMU finds, and one past the end of the file', async () => {
    expect(saidByQemu('refcount-leaks', 'Leaked')).toHaveLength(2);
    expect(await renameFixture('refcount-leaks')).toBe(3);
  });
});

describe('A13: a wrong L2 entry is named with its place', () => {
  test.each([
    ['l2-past-end', 'points outside the file'],
    ['l2-unaligned', 'does not point at a cluster boundary'],
  ])('%s %s', async (name, problem) => {
    const message = (await renameFixture(name)) as string;
    const at = Number(/the L2 table entry at (0x[0-9a-f]+) /.exec(message)![1]);
    expect(message).toContain(problem);
    // QEMU prints the entry itself; it lies where the message says.
    const entry = new DataView(loadFixture(name).buffer).getBigUint64(at).toString(16);
    const said = expectedExits(name)['check.json']!.stderr;
    const lowBits = (BigInt(`0x${entry}`) & 0xff_ffff_ffff_ffffn).toString(16);
    expect(said).toMatch(new RegExp(`(l2_entry=${entry}|offset=(0x)?${lowBits})\\b`));
  });
});

describe('A13, R11: tables that lie over each other', () => {
  const u64 = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset);

  /** First L2 table of the active L1: where it lies, and where its first allocated entry is. */
  function firstTable(bytes: Uint8Array): { l2: bigint; l1At: number; entryAt: number } {
    const view = u64(bytes);
    const l1At = Number(view.getBigUint64(40));
    const l2 = view.getBigUint64(l1At) & 0x00ff_ffff_ffff_fe00n;
    let entryAt = Number(l2);
    while (view.getBigUint64(entryAt) === 0n) entryAt += 8;
    return { l2, l1At, entryAt };
  }

  test('guest data over the refcount table', async () => {
    const message = await renameFixture('five-snapshots', (bytes) => {
      const view = u64(bytes);
      view.setBigUint64(firstTable(bytes).entryAt, view.getBigUint64(48));
    });
    expect(message).toContain('guest data or a bitmap lies over the refcount-table');
  });

  test('guest data over an L2 table', async () => {
    const message = await renameFixture('five-snapshots', (bytes) => {
      const { l2, entryAt } = firstTable(bytes);
      u64(bytes).setBigUint64(entryAt, l2);
    });
    expect(message).toContain('guest data or a bitmap lies over the L2 table');
  });

  test('an L1 entry that points at a refcount block', async () => {
    const message = await renameFixture('five-snapshots', (bytes) => {
      const view = u64(bytes);
      const block = view.getBigUint64(Number(view.getBigUint64(48)));
      view.setBigUint64(firstTable(bytes).l1At, block);
    });
    expect(message).toContain('an L1 entry points at');
    expect(message).toContain('where other metadata lies');
  });

  // An apply made it the active disk's: a guest that touches it has QEMU mark the image corrupt.
  test('a subcluster bitmap that contradicts its entry', async () => {
    const bytes = loadFixture('extended-l2');
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const { l1 } = (await openImage(memoryDevice(bytes))).snapshots[0]!;
    const l2At = Number(view.getBigUint64(l1.at) & 0x00ff_ffff_ffff_fe00n);
    const message = await renameFixture('extended-l2', (changed) => {
      new DataView(changed.buffer, changed.byteOffset).setBigUint64(l2At + 8, 2n ** 64n - 1n);
    });
    expect(message).toContain(
      `the subcluster bitmap of the entry at 0x${l2At.toString(16)} contradicts the entry`,
    );
  });

  test('a bitmap table entry outside the file', async () => {
    const bytes = loadFixture('bitmaps-snapshots');
    const image = await openImage(memoryDevice(bytes));
    const { at } = image.bitmaps[0]!.table;
    u64(bytes).setBigUint64(at, 2n ** 40n);
    expect(await rename(await openImage(memoryDevice(bytes)))).toContain(
      `the bitmap-table entry at 0x${at.toString(16)} (0x10000000000) points outside the file`,
    );
  });
});
