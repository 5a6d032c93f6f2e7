/**
 * Images with what a check only notes, and QEMU goes on past: every edit goes on, too. Guests read the same
 * afterwards, by the entries in the tables as by QEMU, which finds nothing wrong.
 *
 * QSNAP_SEED repeats a run, QSNAP_ROUNDS makes it longer.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import {
  checkImage,
  executePlan,
  executeStages,
  memoryDevice,
  openImage,
  planApply,
  planCreate,
  planDelete,
  planDeleteInPlace,
  planRename,
  type BlockDevice,
  type OpenImage,
} from '../../src/index.js';
import { isSame, PlainImage, type PlainDisk } from '../damage/plain-image.js';
import { patientOf, type Patient } from '../support/damage.js';
import { memoryDirectory } from '../support/directories.js';
import { loadFixture } from '../support/fixture.js';
import { COPIED_BIT, putU64, u64 } from '../support/image-builder-layout.js';
import { roundsOf } from '../support/model-random.js';
import { seededRandom, type Random } from '../support/mutate.js';
import {
  check,
  describeWithQemu,
  expectClean,
  fileHash,
  qemuImg,
  qemuIo,
} from '../support/qemu.js';
import { oneInWithEach } from '../support/left-out.js';

const SEED = Number(process.env['QSNAP_SEED'] ?? 20_261_128);
const ROUNDS = roundsOf(1);

type Flag = (patient: Patient, random: Random) => void;

/** Some entries of L2 tables, used ones and others. */
function changeEntries(patient: Patient, random: Random, to: (was: bigint) => bigint): void {
  const { bytes, layout, l2s } = patient;
  const entryBytes = layout.extendedL2 ? 16 : 8;
  for (const { at } of l2s) {
    for (let slot = 0; slot < layout.clusterBytes / entryBytes; slot++) {
      if (random(3) > 0 && slot > 0) continue;
      const entryAt = at + slot * entryBytes;
      putU64(bytes, entryAt, to(u64(bytes, entryAt)));
    }
  }
}

const copiedNowhere: Flag = (patient, random) => {
  changeEntries(patient, random, (was) => (was === 0n || was === 1n ? was | COPIED_BIT : was));
};
const zeroFlags: Flag = (patient, random) => {
  const isCompressed = (was: bigint): boolean => (was & (1n << 62n)) !== 0n;
  changeEntries(patient, random, (was) => (isCompressed(was) ? was : was | 1n));
};

const CASES: readonly [name: string, fixture: string, note: string, flag: Flag][] = [
  ['COPIED flags without clusters', 'five-snapshots', 'COPIED_WITHOUT_CLUSTER', copiedNowhere],
  ['the same, compressed', 'compressed-zlib', 'COPIED_WITHOUT_CLUSTER', copiedNowhere],
  ['the same, extended L2', 'extended-l2', 'COPIED_WITHOUT_CLUSTER', copiedNowhere],
  ['zero flags in version 2', 'version-2', 'ZERO_FLAG_MEANINGLESS', zeroFlags],
  ['zero flags of extended entries', 'extended-l2', 'ZERO_FLAG_MEANINGLESS', zeroFlags],
  [
    'the bitmaps bit alone',
    'version-3',
    'BITMAPS_EXTENSION_MISSING',
    ({ bytes }) => (bytes[95] = bytes[95]! | 1),
  ],
];

type Edit = (image: OpenImage<BlockDevice>) => Promise<unknown>;

const date = { seconds: 1_700_000_000, nanoseconds: 0 };
const EDITS: Readonly<Record<string, Edit>> = {
  create: async (image) => {
    return executePlan(await planCreate(image, { name: 'new', date }));
  },
  apply: async (image) => {
    const plan = await planApply(image, image.snapshots[0]!, { discardChanges: true });
    return executePlan(plan);
  },
  delete: async (image) => {
    return executePlan(await planDelete(image, image.snapshots.slice(-1)));
  },
  'delete in place': async (image) => {
    return executeStages(await planDeleteInPlace(image, image.snapshots.slice(0, 1)));
  },
  rename: async (image) => {
    return executePlan(await planRename(image, image.snapshots[0]!, 'renamed'));
  },
};

const diskOf = ({ disks }: PlainImage, id: string | undefined): PlainDisk | undefined =>
  disks.find((disk) => (id === undefined ? disk.position === 'active' : disk.id === id));

/** Entries but for their COPIED flag, and what they lead to. */
function expectSameEntries(
  [before, was]: readonly [PlainImage, PlainDisk],
  [after, is]: readonly [PlainImage, PlainDisk],
): void {
  const stored = (image: PlainImage, disk: PlainDisk, guest: number): string => {
    const entry = image.entry(disk, guest);
    if (entry === undefined) return '0,0,0,0';
    const { high, low, zeroBits, allocatedBits } = entry;
    return [high & 0x7fff_ffff, low, zeroBits, allocatedBits].join();
  };
  for (const guest of new Set([...before.mapped(was), ...after.mapped(is)])) {
    expect(stored(after, is, guest)).toBe(stored(before, was, guest));
    const [one, other] = [before.content(was, guest), after.content(is, guest)];
    if (one !== 'unreadable') expect(isSame(one, other)).toBe(true);
  }
}

/** What QEMU reads of a disk, or that it can't. It writes nothing: not to all of these could it. */
async function readByQemu(image: string, id: string | undefined): Promise<string> {
  const raw = path.join(memoryDirectory(), 'disk.raw');
  const of = id === undefined ? [] : ['-l', `snapshot.id=${id}`];
  const args = ['convert', '-f', 'qcow2', '-O', 'raw', ...of, image, raw];
  const { code, stderr } = await qemuImg(args, { okCodes: [0, 1] });
  if (code === 0) return fileHash(raw);
  expect(stderr).toContain('Input/output error');
  return 'unreadable';
}

describeWithQemu(`what a check only notes stops no edit: QSNAP_SEED=${SEED}`, () => {
  const cases = CASES.flatMap((each, row) =>
    Object.keys(EDITS).flatMap((edit, column) => {
      const seeds = Array.from({ length: ROUNDS }, (_, i) => SEED + i * 1000 + row * 100 + column);
      return seeds.map((seed) => [each[0], edit, seed, each] as const);
    }),
  );

  test.each(oneInWithEach(5, cases, ([name, edit]) => [name, edit]))(
    '%s: %s, seed %i',
    async (_, edit, seed, [, fixture, note, flag]) => {
      const folder = memoryDirectory();
      const [old, changed] = ['old.qcow2', 'changed.qcow2'].map((file) => path.join(folder, file));
      const patient = patientOf(loadFixture(fixture));
      flag(patient, seededRandom(seed));
      const noted = await checkImage(memoryDevice(patient.bytes));
      expect(noted.findings.map(({ code }) => code as string)).toContain(note);
      expect(noted.exitCode).toBe(0);

      const device = memoryDevice(patient.bytes.slice());
      const opened = await openImage(device);
      await EDITS[edit]!(opened);
      writeFileSync(old!, patient.bytes);
      writeFileSync(changed!, device.snapshotBytes());

      expect((await checkImage(device)).exitCode).toBe(0);
      expect((await check(changed!)).code).toBe(0);
      const [before, after] = [patient.bytes, device.snapshotBytes()].map((b) => PlainImage.of(b)!);
      const ids = new Set((await openImage(device)).snapshots.map(({ id }) => id));
      const kept = opened.snapshots.map(({ id }) => id).filter((id) => ids.has(id));
      const pairs = kept.map((id) => [id, id] as const);
      const active = edit === 'apply' ? opened.snapshots[0]!.id : undefined;
      for (const [was, is] of [...pairs, [active, undefined] as const]) {
        expectSameEntries([before!, diskOf(before!, was)!], [after!, diskOf(after!, is)!]);
        expect(await readByQemu(changed!, is)).toBe(await readByQemu(old!, was));
      }
    },
  );

  test('QEMU marks an image with the bitmaps bit alone as corrupt when it writes; after an edit it does not', async () => {
    const image = path.join(memoryDirectory(), 'disk.qcow2');
    const { bytes } = patientOf(loadFixture('version-3'));
    bytes[95] = bytes[95]! | 1;
    writeFileSync(image, bytes);
    const refused = await qemuImg(['snapshot', '-c', 'new', image], { okCodes: 'any' });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('Marking image as corrupt');

    const device = memoryDevice(bytes.slice());
    await EDITS['create']!(await openImage(device));
    writeFileSync(image, device.snapshotBytes());
    await qemuImg(['snapshot', '-c', 'newer', image]);
    await qemuIo(image, ['write -P 7 0 64k', 'read -P 7 0 64k']);
    await expectClean(image);
  });
});
