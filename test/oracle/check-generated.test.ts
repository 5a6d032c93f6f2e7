/**
 * Images that QEMU makes with all its options, keys and backing files included: a check counts what
 * QEMU counts, on the sound image and on damage of it, and a repair leaves what QEMU calls clean.
 *
 * QSNAP_SEED repeats a run, QSNAP_ROUNDS makes more images and damages each in every way.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { checkImage } from '../../src/read/check/check-image.js';
import { memoryDevice } from '../../src/io/memory.js';
import { proposeRepair } from '../../src/edit/repair/propose.js';
import { executePlan } from '../../src/edit/tx/execute.js';
import { contentsOf } from '../support/crash-judge.js';
import {
  DECIDED,
  HARMLESS_DAMAGE,
  OVERLAPS,
  patientOf,
  UNREADABLE_DAMAGE,
} from '../support/damage.js';
import { TABLE_DAMAGE } from '../support/damage-tables.js';
import { layoutOf } from '../support/image-builder.js';
import { coveringOptions, diskBytesOf, nameOfOptions } from '../support/model-options.js';
import type { ImageOptions } from '../support/model-options.js';
import { randomFrom, roundsOf, seedOf } from '../support/model-random.js';
import { guest, guestCommands, makeTwins, onImage, type Twins } from '../support/model-twin.js';
import { seededRandom } from '../support/mutate.js';
import { temporaryDirectory } from '../support/directories.js';
import { describeWithQemu } from '../support/qemu.js';

const seed = seedOf() + 5;
const rounds = roundsOf(3);
const KINDS = Object.entries({
  ...HARMLESS_DAMAGE,
  ...UNREADABLE_DAMAGE,
  ...OVERLAPS,
  ...TABLE_DAMAGE,
});
/** A plain run tries so many kinds on each image, others on the next. */
const KINDS_EACH = rounds > 8 ? KINDS.length : 6;
const total = { sound: 0, damaged: 0, mended: 0 };

interface Verdict {
  readonly code: number;
  readonly totals: Readonly<Record<string, number>> | undefined;
}

const NAMES = {
  'check-errors': 'checkErrors',
  corruptions: 'corruptions',
  leaks: 'leaks',
  'image-end-offset': 'imageEndOffset',
  'total-clusters': 'totalClusters',
  'allocated-clusters': 'allocatedClusters',
  'fragmented-clusters': 'fragmentedClusters',
  'compressed-clusters': 'compressedClusters',
} as const;

async function theirVerdict(twins: Twins, bytes: Uint8Array): Promise<Verdict> {
  writeFileSync(twins.theirs, bytes);
  const { code, stdout } = await onImage(twins, twins.theirs, ['check', '--output=json']);
  if (!stdout.startsWith('{')) return { code, totals: undefined };
  const json = JSON.parse(stdout) as Readonly<Record<string, number>>;
  const totals = Object.entries(NAMES).map(([key, name]) => [name, json[key] ?? 0]);
  return { code, totals: Object.fromEntries(totals) as Record<string, number> };
}

async function ourVerdict(bytes: Uint8Array): Promise<Verdict> {
  const { qemuExitCode, qemuFailure, totals } = await checkImage(memoryDevice(bytes));
  return { code: qemuExitCode, totals: qemuFailure === undefined ? { ...totals } : undefined };
}

/** Mends what can be without taking guest data away; QEMU then finds nothing. */
async function expectMended(twins: Twins, bytes: Uint8Array, sound: Uint8Array): Promise<void> {
  const device = memoryDevice(bytes);
  const { plan } = await proposeRepair(device, () => ({
    classes: ['all', 'leaks', 'perhaps-lost'],
    findings: DECIDED,
  }));
  if (plan !== undefined) await executePlan(plan);
  const mended = device.snapshotBytes();
  expect(contentsOf(mended)).toEqual(contentsOf(sound));
  expect((await theirVerdict(twins, mended)).code).toBe(0);
  total.mended += 1;
}

/** QEMU ends a file where its last table does; damage looks at whole clusters. */
function inWholeClusters(bytes: Uint8Array): Uint8Array {
  const { clusterBytes } = layoutOf(bytes);
  const whole = new Uint8Array(Math.ceil(bytes.length / clusterBytes) * clusterBytes);
  whole.set(bytes);
  return whole;
}

async function run(options: ImageOptions, index: number): Promise<void> {
  const random = randomFrom(seed + index);
  const twins = await makeTwins(temporaryDirectory(), options, random);
  for (const name of ['one', 'two']) {
    await guest(twins, guestCommands(random, options, diskBytesOf(options)));
    await onImage(twins, twins.ours, ['snapshot', '-c', name]);
  }
  await guest(twins, guestCommands(random, options, diskBytesOf(options)));
  const sound = readFileSync(twins.ours);
  expect(await ourVerdict(sound)).toEqual(await theirVerdict(twins, sound));
  total.sound += 1;
  for (let i = 0; i < KINDS_EACH; i++) {
    const [kind, damage] = KINDS[(i + index * KINDS_EACH) % KINDS.length]!;
    const patient = patientOf(inWholeClusters(sound));
    const done = damage(patient, seededRandom(seed + index * 1000 + i));
    if (done === undefined) continue;
    const what = `seed ${seed}, image ${index}, ${kind}: ${done}`;
    const theirs = await theirVerdict(twins, patient.bytes);
    expect(await ourVerdict(patient.bytes), what).toEqual(theirs);
    total.damaged += 1;
    if (kind in HARMLESS_DAMAGE) await expectMended(twins, patient.bytes, sound);
  }
}

describeWithQemu('images with all options', () => {
  const allowed = ({ cluster, preallocation }: ImageOptions): boolean =>
    // Large files take the time of many small ones.
    (cluster !== '2M' || preallocation === 'off') && (cluster !== '2M' || rounds > 8);
  const all = coveringOptions(randomFrom(seed), rounds, allowed);
  test.each(all.map((options, i) => ({ options, i, name: nameOfOptions(options) })))(
    '$i: $name',
    { timeout: 120_000 },
    ({ options, i }) => run(options, i),
  );

  afterAll(() => {
    console.log(`QSNAP_SEED=${seed - 5} QSNAP_ROUNDS=${rounds}: ${JSON.stringify(total)}`);
    expect(total.damaged).toBeGreaterThan(rounds * 2);
  });
});
