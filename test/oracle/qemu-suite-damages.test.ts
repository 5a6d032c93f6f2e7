/**
 * Whatever `qemu-img check -r all` mends, a repair by qsnap can: the damages that QEMU's own tests make, each
 * on several images. Where QEMU's repair ends in a sound image, so does qsnap's, and no byte of any disk that
 * QEMU's keeps is lost. What changes a disk is named, as a person would after the check's advice.
 *
 * The kinds are those of QEMU's tests 026, 060, 061, 080, 108, 112, 137, 138, 214, 217, 242, 261, 271 and 287; 114,
 * 121, 270 and 290 were gone through, and damage nothing that a check looks at. Data files (244) and tables past the
 * limits (261) have tests of their own beside this one. Left out: a bitmap table at 1 TiB and a refcount table over
 * the header, since QEMU's repair of images with small clusters does not end with them in the time and room given.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { executePlan, isQsnapError, memoryDevice, proposeRepair } from '../../src/index.js';
import type { RepairChoice } from '../../src/index.js';
import { errorsByQemu, mendByQemu } from '../damage/subjects.js';
import { patientOf } from '../support/damage.js';
import { memoryDirectory } from '../support/directories.js';
import { loadFixture } from '../support/fixture.js';
import {
  buildImage,
  guestWrite,
  layoutOf,
  readGuest,
  snapshotsOf,
} from '../support/image-builder.js';
import { roundsOf, seedOf } from '../support/model-random.js';
import { describeWithQemu } from '../support/qemu.js';
import { SUITE_DAMAGES } from '../support/suite-damages.js';
import type { SuiteDamage } from '../support/suite-places.js';
import { IS_PLAIN, oneIn } from '../support/left-out.js';

const IMAGES = [
  'version-3',
  'cluster-4k',
  'cluster-512',
  'compressed-zlib',
  'bitmaps',
  'bitmaps-snapshots',
  'extended-l2-16k',
  'lazy-refcounts-dirty',
  'no-snapshots',
  'version-2',
  'extra-data-v2',
  'zeros-v2',
] as const;

/** An image with room for many snapshots in its one refcount block. */
function built(version: 2 | 3): Uint8Array {
  const options = { version, clusterBits: 16, refcountOrder: 4, extendedL2: false };
  const disk = { bytes: buildImage({ ...options, diskSizeBytes: 2 ** 22 }) };
  for (let cell = 0; cell < 8; cell++) guestWrite(disk, cell * 5, cell + 1);
  return disk.bytes;
}

/** A plain run does each damage to so many of the images that can take it, which of them by the seed. */
const IMAGES_EACH = roundsOf(1) > 1 ? IMAGES.length + 2 : 2;

const SOUND: ReadonlyMap<string, Uint8Array> = new Map([
  ...IMAGES.map((name) => [name, loadFixture(name)] as const),
  ...([2, 3] as const).map((version) => [`built, version ${version}`, built(version)] as const),
]);

type Disks = ReadonlyMap<string, Uint8Array | undefined>;

/** What each disk reads, by the snapshot's id; the active one has none. Undefined where it can't be read. */
function disksOf(bytes: Uint8Array, ids?: ReadonlySet<string>): Disks {
  const { l1At, l1Entries, diskSizeBytes } = layoutOf(bytes);
  const active = { id: '', l1At, l1Entries, diskSizeBytes };
  const all = [active, ...snapshotsOf(bytes).snapshots];
  // Thousands of snapshots that damage made up are nobody's disks.
  const wanted = all.slice(0, 400).filter(({ id }) => ids?.has(id) !== false);
  return new Map(
    wanted.map(({ id, ...mapping }) => {
      try {
        return [id, readGuest(bytes, mapping)];
      } catch {
        return [id, undefined];
      }
    }),
  );
}

/** Disks of which QEMU's repair keeps bytes as they were, and ours does not. */
function lostBytes(
  sound: Disks,
  theirs: Disks,
  ours: Disks,
  { dropSnapshots = [], emptyL1s = [] }: NonNullable<SuiteDamage['givesUp']>,
): readonly string[] {
  // The active disk comes first. Zeros in place of what was given up keep nothing of it.
  const isGivenUp = (i: number): boolean =>
    i === 0 ? emptyL1s.includes('active') : dropSnapshots.includes(i - 1);
  return [...sound].flatMap(([id, was], i) => {
    const [kept, left] = [theirs.get(id), ours.get(id)];
    if (was === undefined || kept === undefined || isGivenUp(i)) return [];
    if (left === undefined) return [`disk "${id}" is gone`];
    const at = was.findIndex((byte, i) => kept[i] === byte && left[i] !== byte);
    return at < 0 ? [] : [`disk "${id}" at ${at}`];
  });
}

async function repaired(bytes: Uint8Array, damage: SuiteDamage): Promise<Uint8Array> {
  const device = memoryDevice(bytes);
  const choice: RepairChoice = {
    classes: ['all', 'leaks', 'perhaps-lost', 'unreadable'],
    findings: (damage.findings ?? []).map((code) => ({ code, at: undefined })),
    ...damage.givesUp,
  };
  const { plan } = await proposeRepair(device, () => choice);
  if (plan !== undefined) await executePlan(plan);
  return device.snapshotBytes();
}

const total = { made: 0, soundByQemu: 0, notByQemu: 0 };

async function fault(
  sound: Uint8Array,
  damage: SuiteDamage,
  folder: string,
): Promise<string | undefined> {
  const bytes = damage.make(patientOf(sound));
  if (bytes === undefined) return undefined;
  total.made += 1;
  const path = join(folder, 'image.qcow2');
  const theirs = await mendByQemu(bytes, path);
  if (theirs.isUnjudged === true) return 'QEMU gives no answer: the damage does not belong here';
  total[theirs.after.code === 0 ? 'soundByQemu' : 'notByQemu'] += 1;
  if (theirs.after.code !== 0 && damage.beyondQemu !== true) return undefined;
  try {
    const ours = await repaired(bytes, damage);
    writeFileSync(path, ours);
    const errors = await errorsByQemu(path);
    if (errors !== undefined) return `not mended: ${errors}`;
    const before = disksOf(sound);
    // Where QEMU mends nothing all that was there before has to stay.
    const reference = damage.beyondQemu === true ? sound : theirs.bytes!;
    const [kept, left] = [reference, ours].map((each) => disksOf(each, new Set(before.keys())));
    const lost = lostBytes(before, kept!, left!, damage.givesUp ?? {});
    return lost.length === 0 ? undefined : `lost: ${lost.join(', ')}`;
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    return `refused: ${error.code}: ${error.message}`;
  }
}

describeWithQemu('the damages of QEMU’s own tests', () => {
  test.each(oneIn(6, Object.entries(SUITE_DAMAGES)))(
    '%s',
    { timeout: 120_000 },
    async (_, damage) => {
      const folder = memoryDirectory();
      const faults: string[] = [];
      const made = total.made;
      const all = [...SOUND];
      const first = seedOf() % all.length;
      for (const [name, sound] of [...all.slice(first), ...all.slice(0, first)]) {
        if (total.made - made >= IMAGES_EACH) break;
        const found = await fault(sound, damage, folder);
        if (found !== undefined) faults.push(`${name}: ${found}`);
      }
      expect(faults).toEqual([]);
      expect(total.made, 'no image takes this damage').toBeGreaterThan(made);
    },
  );

  afterAll(() => {
    console.log(JSON.stringify(total));
    // A slice may have none but damages of which QEMU does not speak.
    expect(total.soundByQemu).toBeGreaterThan(IS_PLAIN ? 0 : total.made / 2);
  });
});
