/** Guest offsets to host offsets and back, against the extents, the refcounts and QEMU's map. */
import { expect, test } from 'vitest';
import { checkImage } from '../../../../src/read/check/check-image.js';
import { isQsnapError } from '../../../../src/errors.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { openForReading } from '../../../../src/image/open-for-reading.js';
import { locateClusters } from '../../../../src/read/locate/locate-clusters.js';
import { locateGuest } from '../../../../src/read/locate/locate-guest.js';
import { openGuestDisk } from '../../../../src/read/guest/open-guest-disk.js';
import { expectedJson, fixtureNames, loadFixture } from '../../../support/fixture.js';
import { oneIn } from '../../../support/left-out.js';
import { mutate, seededRandom, victimOf } from '../../../support/mutate.js';

const seed = Number(process.env['QSNAP_SEED'] ?? 11);
/** Those that no reader opens. */
const CLOSED = ['qcow-version-1', 'feature-incompatible-named', 'feature-incompatible-unknown'];
const NAMES = fixtureNames().filter((name) => !CLOSED.includes(name));
const opened = (name: string) => openForReading(memoryDevice(loadFixture(name)));

interface QemuExtent {
  readonly start: number;
  readonly length: number;
  readonly depth: number;
  readonly zero: boolean;
  readonly data: boolean;
  readonly offset?: number;
}

test.each(oneIn(3, NAMES, 0))('%s: random offsets lie where qemu-img map says', async (name) => {
  const map = expectedJson(name, 'map.json') as readonly QemuExtent[] | null;
  const image = await opened(name);
  const random = seededRandom(seed);
  for (let i = 0; map !== null && i < 100; i++) {
    const offset = random(Math.max(1, image.header.diskSizeBytes));
    const extent = map.find(({ start, length }) => offset >= start && offset < start + length);
    const [located] = await locateGuest(image, offset);
    if (extent === undefined || extent.depth > 0 || name === 'l2-past-end') continue;
    const where = `seed ${seed}, offset ${offset}`;
    if (extent.offset !== undefined && !extent.zero) {
      expect(located!.hostOffset, where).toBe(extent.offset + offset - extent.start);
    }
    const stored = located!.kind === 'data' || located!.kind === 'compressed';
    if (name !== 'preallocated-metadata') expect(stored, where).toBe(extent.data && !extent.zero);
  }
});

test.each(oneIn(3, NAMES, 1))(
  '%s: snapshots as their extents, and back to the same offset',
  async (name) => {
    const image = await opened(name);
    const { clusterBytes } = image.geometry;
    const asked = new Map<
      string,
      { readonly cluster: number; readonly guest: number; readonly index: number | undefined }
    >();
    for (const snapshot of [undefined, ...image.snapshots.slice(0, 6)]) {
      const disk = await openGuestDisk(image, { snapshot, unreadableExtents: true });
      for await (const extents of disk.extents(0, Math.min(await disk.sizeBytes(), 2 ** 30))) {
        for (const { start, kind, at, depth } of extents) {
          if (kind !== 'data' || at === undefined || depth > 0) continue;
          const [located] = await locateGuest(image, start, [snapshot]);
          expect(located).toMatchObject({ kind: 'data', hostOffset: at });
          if (image.header.externalDataFile) continue;
          const [cluster, index] = [Math.floor(at / clusterBytes), snapshot?.index];
          const guest = start - (start % clusterBytes);
          asked.set(`${cluster} ${index}`, { cluster, guest, index });
        }
      }
      await disk.close();
    }
    const places = [...asked.values()].slice(0, 400);
    const found = await locateClusters(
      image,
      places.map(({ cluster }) => cluster),
    );
    for (const [i, { guest, index }] of places.entries()) {
      const owner = { kind: 'guest-data', snapshot: index, guestOffset: guest };
      expect(found[i]!.owners).toContainEqual(expect.objectContaining(owner));
    }
  },
);

test.each(oneIn(3, NAMES, 2))(
  '%s: references of all clusters are what the check counts',
  async (name) => {
    const device = memoryDevice(loadFixture(name));
    const report = await checkImage(device, { maxFindings: 100_000 });
    const image = await openForReading(device);
    const clusters = Math.ceil(image.fileSizeBytes / image.geometry.clusterBytes);
    if (image.unread.length > 0 || clusters > 20_000) return;
    const located = await locateClusters(
      image,
      Array.from({ length: clusters }, (_, i) => i),
    );
    const leaks = located.filter(({ refcount = 0, references }) => refcount > references).length;
    const lacks = located.filter(({ refcount = 0, references }) => refcount < references).length;
    expect(leaks).toBe(report.totals.leaks);
    if (report.totals.corruptions === 0) expect(lacks).toBe(0);
    else if (name === 'refcount-too-low') expect(lacks).toBeGreaterThan(0);
  },
);

test('compressed clusters, zeros and subclusters are told apart', async () => {
  const kindsOf = async (name: string): Promise<Set<string>> => {
    const image = await opened(name);
    const kinds = new Set<string>();
    const { clusterBytes, l2EntryBytes } = image.geometry;
    const step = l2EntryBytes === 16 ? clusterBytes / 32 : clusterBytes;
    for (let at = 0; at < Math.min(image.header.diskSizeBytes, 2048 * step); at += step) {
      const { kind, subcluster } = (await locateGuest(image, at))[0]!;
      kinds.add(subcluster === undefined ? kind : `${kind} of subclusters`);
    }
    return kinds;
  };
  expect(await kindsOf('compressed-zlib')).toContain('compressed');
  expect(await kindsOf('zeros')).toContain('zero');
  expect(await kindsOf('extended-l2')).toContain('data of subclusters');
});

test('what lies behind a disk is VM state, and behind that nothing', async () => {
  const image = await opened('vm-state');
  const withState = image.snapshots.find(({ vmStateBytes }) => vmStateBytes > 0)!;
  const { l2CoverageBytes } = image.geometry;
  const first = Math.ceil(withState.diskSizeBytes / l2CoverageBytes) * l2CoverageBytes;
  const [state] = await locateGuest(image, first, [withState]);
  expect(state).toMatchObject({ isVmState: true, kind: 'data' });
  const behind = withState.l1.entries * l2CoverageBytes;
  const [nothing] = await locateGuest(image, behind, [withState]);
  expect(nothing).toMatchObject({ kind: 'outside', l1: undefined });
});

test('wrong bytes give an answer or an error of the engine', async () => {
  const random = seededRandom(seed);
  for (const name of ['cluster-512', 'extended-l2-16k', 'compressed-zlib', 'bitmaps-snapshots']) {
    const victim = victimOf(loadFixture(name));
    for (let round = 0; round < 40; round++) {
      const mutant = mutate(victim, random);
      try {
        const image = await openForReading(memoryDevice(mutant.bytes));
        await locateClusters(image, [0, 1, 5, 2 ** 30]);
        for (let i = 0; i < 5; i++) await locateGuest(image, random(2 ** 31));
      } catch (error) {
        expect(isQsnapError(error), `${name}: ${mutant.description}: ${String(error)}`).toBe(true);
      }
    }
  }
});
