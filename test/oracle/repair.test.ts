/**
 * Damage of every kind to every fixture, mended by qsnap: QEMU then finds the image clean, and the
 * guest reads what it read before. A plain run tries each kind on a third of the images, other seeds on
 * the others. QSNAP_SEED repeats a run, QSNAP_ROUNDS tries all, and damages each image so often.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { checkImage as checkOurs } from '../../src/read/check/check-image.js';
import { isQsnapError } from '../../src/errors.js';
import { openForCheck } from '../../src/image/open-for-check.js';
import { memoryDevice, type MemoryDevice } from '../../src/io/memory.js';
import type { RepairChoice } from '../../src/edit/repair/choice.js';
import { planRepair } from '../../src/edit/repair/plan-repair.js';
import { proposeRepair } from '../../src/edit/repair/propose.js';
import { executePlan } from '../../src/edit/tx/execute.js';
import {
  DECIDED,
  HARMLESS_DAMAGE,
  OVERLAPS,
  patientOf,
  UNREADABLE_DAMAGE,
  type Damage,
} from '../support/damage.js';
import { TABLE_DAMAGE } from '../support/damage-tables.js';
import { copyCompanions, fixtureNames, loadFixture } from '../support/fixture.js';
import { checkImage, layoutOf, readGuest, snapshotsOf } from '../support/image-builder.js';
import { roundsOf, seedOf } from '../support/model-random.js';
import { seededRandom } from '../support/mutate.js';
import { memoryDirectory } from '../support/directories.js';
import { check, describeWithQemu, qemuImg } from '../support/qemu.js';
import { leaveOut, oneIn } from '../support/left-out.js';
import { madeOn } from '../support/plans.js';

const seed = seedOf();
const rounds = roundsOf(1);
const isLong = process.env['QSNAP_ROUNDS'] !== undefined;
/** Fixtures that are damaged already, that a repair refuses, or whose key this test has not. */
const UNFIT =
  /^(copied-flags-wrong|data-file|feature-incompatible|l2-|luks|aes|qcow-version|refcount-(leaks|too|zero))/;
/** What QEMU says whenever it opens an image whose bitmaps are out of date. */
const STALE_BITMAPS = /^qemu-img: warning: a program lacking bitmap support .*\n.*fix\.\n?/gm;
const LARGEST_BYTES = 3 * 2 ** 20;
const images = fixtureNames()
  .filter((name) => !UNFIT.test(name))
  .map((name) => ({ name, bytes: loadFixture(name) }))
  .filter(({ bytes }) => bytes.length <= LARGEST_BYTES);

/** What a guest reads of the active disk and of each snapshot; zstd is beyond this reader. */
function guestContents(bytes: Uint8Array): readonly string[] {
  const { l1At, l1Entries, diskSizeBytes } = layoutOf(bytes);
  const mappings = [{ l1At, l1Entries, diskSizeBytes }, ...snapshotsOf(bytes).snapshots];
  return mappings
    .filter((mapping) => mapping.diskSizeBytes <= 2 ** 28)
    .map((mapping) => {
      try {
        return Buffer.from(readGuest(bytes, mapping)).toString('latin1');
      } catch (error) {
        return `unreadable: ${String(error)}`;
      }
    });
}

async function repaired(bytes: Uint8Array, choice: RepairChoice): Promise<Uint8Array> {
  const device: MemoryDevice = memoryDevice(bytes.slice());
  const { plan } = await planRepair(await openForCheck(device), choice, {
    clears: ['dirty', 'corrupt'],
    ownersHidden: false,
  });
  if (plan !== undefined) await executePlan(madeOn(device, plan));
  return device.snapshotBytes();
}

interface Mended {
  readonly bytes: Uint8Array;
  readonly snapshotsBefore: number;
  readonly snapshotsAfter: number;
  /** What the repair said, before it wrote anything, that a check would find. */
  readonly qemuExitCode: number;
}

/** An image after all that can be mended in it; undefined where the repair refuses, and says why. */
async function mendedWithForecast(damaged: Uint8Array): Promise<Mended | undefined> {
  const device = memoryDevice(damaged.slice());
  try {
    const choice: RepairChoice = { classes: ['all', 'unreadable', 'leaks'] };
    const { image, plan, after } = await proposeRepair(device, () => choice);
    if (plan !== undefined) await executePlan(madeOn(device, plan));
    const { image: mended } = await openForCheck(device);
    return {
      bytes: device.snapshotBytes(),
      snapshotsBefore: image.snapshots.length,
      snapshotsAfter: mended.snapshots.length,
      qemuExitCode: after.qemuExitCode,
    };
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    expect(error.code).toMatch(
      /^(REPAIR_REFUSED|BITMAPS_INVALID|EXTENSION_INVALID|IMAGE_TRUNCATED|EXTERNAL_DATA)/,
    );
    expect(Buffer.from(device.snapshotBytes()).equals(damaged)).toBe(true);
    refused += 1;
    return undefined;
  }
}

/** All that changes nothing a guest reads, with the decisions that no class makes. */
const MENDS_ALL: RepairChoice = { classes: ['all', 'leaks', 'perhaps-lost'], findings: DECIDED };

const NO_BACKING = 'what QEMU says of images whose backing file is not there';

let asked = 0;
let tried = 0;
let repairs = 0;
let tableRepairs = 0;
let refused = 0;
let byQemu = 0;

describe.each(oneIn(4, images))('$name', ({ name, bytes }) => {
  async function mendEach(
    kinds: Readonly<Record<string, Damage>>,
    choice: RepairChoice,
    judge: (damaged: Uint8Array, mended: Uint8Array) => void,
  ): Promise<void> {
    const directory = memoryDirectory();
    copyCompanions(name, directory);
    for (const [index, [kind, damage]] of Object.entries(kinds).entries()) {
      asked += 1;
      const turn = index + images.findIndex((image) => image.name === name) + seed;
      if (!isLong && turn % 3 !== 0) continue;
      tried += 1;
      for (let round = 0; round < rounds; round++) {
        const patient = patientOf(bytes);
        const done = damage(patient, seededRandom(seed + index * 1000 + round));
        if (done === undefined) continue;
        const what = `seed ${seed}, ${name}: ${kind}: ${done}`;
        const mended = await repaired(patient.bytes, choice);
        expect(checkImage(mended), what).toEqual({ corruptions: [], leaks: [] });
        judge(patient.bytes, mended);
        await expectCleanForQemu(directory, mended, what);
        repairs += 1;
      }
    }
  }

  async function expectCleanForQemu(dir: string, mended: Uint8Array, what: string): Promise<void> {
    // QEMU opens no image whose backing file is not there.
    if (name === 'backing-missing' || name === 'backing-json-name') {
      leaveOut(NO_BACKING);
      return;
    }
    // Each call of QEMU takes its time: a plain run asks it about some, a longer one about all.
    if (!isLong && repairs % 2 !== 0) return;
    const path = join(dir, 'mended.qcow2');
    writeFileSync(path, mended);
    const { code, stderr } = await qemuImg(['check', '-f', 'qcow2', path], { okCodes: 'any' });
    const findings = stderr.replaceAll(STALE_BITMAPS, '');
    expect({ code, findings }, what).toEqual({ code: 0, findings: '' });
    byQemu += 1;
  }

  describeWithQemu('mended', () => {
    test('refcounts, flags and stray bits: the guest reads what it always read', async () => {
      const contents = guestContents(bytes);
      await mendEach(HARMLESS_DAMAGE, MENDS_ALL, (_, mended) => {
        expect(guestContents(mended)).toEqual(contents);
      });
    });

    test('two owners of one cluster: each reads what the cluster held', async () => {
      await mendEach(OVERLAPS, MENDS_ALL, (damaged, mended) => {
        expect(guestContents(mended)).toEqual(guestContents(damaged));
      });
    });

    test('tables of snapshots and bitmaps: QEMU finds what was said to be left', async () => {
      const directory = memoryDirectory();
      copyCompanions(name, directory);
      for (const [index, [kind, damage]] of Object.entries(TABLE_DAMAGE).entries()) {
        const patient = patientOf(bytes);
        const done = damage(patient, seededRandom(seed + index * 1000));
        if (done === undefined) continue;
        const mended = await mendedWithForecast(patient.bytes);
        if (mended === undefined) continue;
        const what = `seed ${seed}, ${name}: ${kind}: ${done}`;
        expect(mended.snapshotsAfter, what).toBe(mended.snapshotsBefore);
        tableRepairs += 1;
        if (name === 'backing-missing' || name === 'backing-json-name') {
          leaveOut(NO_BACKING);
          continue;
        }
        if (rounds === 1 && tableRepairs % 3 !== 0) continue;
        const path = join(directory, 'mended.qcow2');
        writeFileSync(path, mended.bytes);
        const args = ['check', '-f', 'qcow2', path];
        expect((await qemuImg(args, { okCodes: 'any' })).code, what).toBe(mended.qemuExitCode);
        byQemu += 1;
      }
    });

    test('entries that lead nowhere: zeros, where they can be said', async () => {
      const choice: RepairChoice = { classes: ['all', 'unreadable', 'leaks'] };
      // Version 2 has no zero flag: without an entry the backing file would show through.
      const { version } = layoutOf(bytes);
      const isOldOverlay = version === 2 && name.startsWith('backing');
      if (isOldOverlay) {
        leaveOut(`entries that lead nowhere in ${name}, for which version 2 has no zeros`);
        return;
      }
      await mendEach(UNREADABLE_DAMAGE, choice, (_, mended) => {
        expect(snapshotsOf(mended).snapshots).toHaveLength(snapshotsOf(bytes).snapshots.length);
      });
    });
  });
});

describe('what a repair leaves alone', () => {
  const sound = loadFixture('five-snapshots');

  test('a sound image', async () => {
    const device = memoryDevice(sound.slice());
    const { plan } = await planRepair(
      await openForCheck(device),
      { classes: ['all', 'leaks', 'unreadable'] },
      { clears: ['dirty', 'corrupt'], ownersHidden: false },
    );
    expect(plan).toBeUndefined();
  });

  test('what was not chosen: one leak of two, and entries that lead nowhere', async () => {
    const patient = patientOf(sound);
    const random = seededRandom(seed);
    const damage = HARMLESS_DAMAGE['refcount too high']!;
    expect(damage(patient, random)).toBeDefined();
    const entry = UNREADABLE_DAMAGE['L2 entry past the end']!(patient, random);
    expect(entry).toBeDefined();
    const before = checkImage(patient.bytes);
    const mended = checkImage(await repaired(patient.bytes, { classes: ['all'] }));
    expect(mended.corruptions).toEqual(before.corruptions);
    expect(mended.leaks.length, 'what an unreadable entry may own is kept').toBeGreaterThan(0);
  });

  // What is left of a table may lie there: were it free, the next edit would write over it.
  describe('L1 entries off the table', () => {
    /** The active L1 entry leads off its table, and that of the snapshot by `off` bytes. */
    function offTheTable(off: bigint): Uint8Array {
      const { bytes, layout } = patientOf(sound);
      const view = new DataView(bytes.buffer);
      view.setBigUint64(layout.l1At, view.getBigUint64(layout.l1At) - 0x400n);
      const [snapshot] = snapshotsOf(sound).snapshots;
      const other = view.getBigUint64(snapshot!.l1At) & ~(2n ** 63n);
      view.setBigUint64(snapshot!.l1At, other - off);
      return bytes;
    }

    test('one of two: the clusters it touches stay in use', async () => {
      const mended = await repaired(offTheTable(0n), { classes: ['leaks'] });
      const { findings } = await checkOurs(memoryDevice(mended));
      const codes = findings.map(({ code }) => code);
      expect(codes).toContain('L1_ENTRY_MISALIGNED');
      for (const harm of ['REFCOUNT_TOO_LOW', 'REFCOUNT_ZERO', 'REFCOUNT_TOO_HIGH']) {
        expect(codes).not.toContain(harm);
      }
    });

    test('both, each by bytes of its own: metadata that they touch is not moved away', async () => {
      const error = await repaired(offTheTable(0x200n), { classes: ['leaks'] }).catch(
        (caught: unknown) => caught,
      );
      expect(error).toMatchObject({ code: 'REPAIR_REFUSED' });
    });

    describeWithQemu('by QEMU', () => {
      test('R9: no error is left but the entry, fewer than after its own repair of leaks', async () => {
        const directory = memoryDirectory();
        const [ours, theirs] = ['ours', 'theirs'].map((name) => join(directory, name));
        writeFileSync(ours!, await repaired(offTheTable(0n), { classes: ['leaks'] }));
        writeFileSync(theirs!, offTheTable(0n));
        await qemuImg(['check', '-r', 'leaks', '-f', 'qcow2', theirs!], { okCodes: 'any' });
        const [ourCheck, theirCheck] = [await check(ours!), await check(theirs!)];
        expect(ourCheck.report).toMatchObject({ 'check-errors': 0, corruptions: 1 });
        expect([ourCheck, theirCheck].map(({ report }) => report!.leaks ?? 0)).toEqual([0, 0]);
        // QEMU leaves COPIED flags as they are where it lowers refcounts.
        expect(theirCheck.report!.corruptions).toBeGreaterThan(1);
      });
    });
  });

  // A check, QEMU's too, takes the header for the table of such an entry, and counts all it names.
  test.each([0x38n, 2n ** 63n])('not the L1 entry %s: bits without an offset', async (entry) => {
    const whole = loadFixture('l1-larger-than-needed');
    const bytes = whole.slice();
    const { l1At, l1Entries } = layoutOf(bytes);
    const at = l1At + (l1Entries - 1) * 8;
    const view = new DataView(bytes.buffer);
    expect(view.getBigUint64(at)).toBe(0n);
    view.setBigUint64(at, entry);
    expect((await checkOurs(memoryDevice(bytes))).totals.corruptions).toBeGreaterThan(1);
    const mended = await repaired(bytes, { classes: ['leaks'] });
    expect(checkImage(mended)).toEqual({ corruptions: [], leaks: [] });
    expect((await checkOurs(memoryDevice(mended))).totals).toMatchObject({ corruptions: 0 });
    expect(guestContents(mended)).toEqual(guestContents(whole));
  });

  describe.each([0, 1, 3, 4])('snapshots of which the header counts only %i', (count) => {
    const bytes = sound.slice();
    const { snapshots } = snapshotsOf(sound);
    new DataView(bytes.buffer).setUint32(60, count);

    test('class all leaves them whole behind the table, and says so', async () => {
      const { findings } = await checkOurs(memoryDevice(bytes));
      const unlisted = findings.filter(({ code }) => code === 'SNAPSHOT_UNLISTED');
      expect(unlisted.map(({ facts }) => [facts['index'], facts['id']])).toEqual(
        snapshots.slice(count).map(({ id }, i) => [count + i, id]),
      );
      const mended = await repaired(bytes, { classes: ['all'] });
      new DataView(mended.buffer).setUint32(60, snapshots.length);
      expect(guestContents(mended)).toEqual(guestContents(sound));
      // Flags were set by what is counted; that is mended with the snapshots listed again.
      const again = await repaired(mended, { classes: ['all'] });
      expect(checkImage(again)).toEqual({ corruptions: [], leaks: [] });
      expect(guestContents(again)).toEqual(guestContents(sound));
    });

    test('class leaks frees them', async () => {
      const mended = await repaired(bytes, { classes: ['leaks'] });
      expect(checkImage(mended)).toEqual({ corruptions: [], leaks: [] });
      const { findings } = await checkOurs(memoryDevice(mended));
      expect(findings.map(({ code }) => code)).not.toContain('SNAPSHOT_UNLISTED');
    });
  });

  test('old entries behind a table are no snapshots, in any fixture', async () => {
    const unlisted: string[] = [];
    for (const { name, bytes } of images) {
      const { findings } = await checkOurs(memoryDevice(bytes));
      if (findings.some(({ code }) => code === 'SNAPSHOT_UNLISTED')) unlisted.push(name);
    }
    expect(unlisted).toEqual([]);
  });

  test('S9: snapshots, unless they are named', async () => {
    const kept = await repaired(sound, { classes: ['all'], dropSnapshots: [1, 2] });
    expect(snapshotsOf(kept).snapshots.map(({ id }) => id)).toEqual(['1', '4', '5']);
    expect(checkImage(kept)).toEqual({ corruptions: [], leaks: [] });
    const contents = guestContents(sound);
    expect(guestContents(kept)).toEqual([0, 1, 4, 5].map((i) => contents[i]));
  });

  test('an image of which snapshots can not be read', async () => {
    const bytes = sound.slice();
    const { snapshotTableAt } = layoutOf(bytes);
    new DataView(bytes.buffer).setUint32(snapshotTableAt + 36, 0xffff);
    const refusal = await repaired(bytes, { classes: ['all'] }).catch((error: unknown) => error);
    expect(isQsnapError(refusal) && refusal.code).toBe('REPAIR_REFUSED');
    const dropped = await repaired(bytes, { classes: ['leaks'], dropUnreadSnapshots: true });
    expect(snapshotsOf(dropped).snapshots).toEqual([]);
    expect(checkImage(dropped)).toEqual({ corruptions: [], leaks: [] });
  });
});

afterAll(() => {
  const counts = `${tried} of ${asked} kinds and images, ${repairs} repairs`;
  const tables = `${tableRepairs} of tables, ${refused} refused`;
  console.log(`QSNAP_SEED=${seed}: ${counts}, ${tables}, ${byQemu} judged by QEMU`);
});
