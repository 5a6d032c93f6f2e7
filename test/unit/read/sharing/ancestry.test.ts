import { afterAll, describe, expect, test } from 'vitest';
import { planApply } from '../../../../src/edit/snapshot/apply.js';
import { planCreate } from '../../../../src/edit/snapshot/create.js';
import { planDelete } from '../../../../src/edit/snapshot/delete.js';
import { computeUnsavedChanges } from '../../../../src/edit/snapshot/unsaved.js';
import { executePlan } from '../../../../src/edit/tx/execute.js';
import type { EditPlan } from '../../../../src/edit/tx/plan.js';
import type { OpenImage } from '../../../../src/image/image.js';
import { openImage } from '../../../../src/image/open.js';
import type { BlockDevice } from '../../../../src/io/device.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { checkImage } from '../../../../src/read/check/check-image.js';
import {
  inferAncestry,
  type Ancestry,
  type Descent,
} from '../../../../src/read/sharing/ancestry.js';
import { measureUsage } from '../../../../src/read/sharing/usage.js';
import { buildImage, guestWrite } from '../../../support/image-builder.js';
import { planMany } from '../../../support/many-snapshots.js';
import { randomFrom, roundsOf, seedOf, type Random } from '../../../support/model-random.js';

const seed = seedOf();
const rounds = roundsOf(60);
const DISK_CLUSTERS = 24;

/** An image in memory whose whole history is known. */
class History {
  bytes: Uint8Array = buildImage({
    version: 3,
    clusterBits: 12,
    refcountOrder: 4,
    extendedL2: false,
    diskSizeBytes: DISK_CLUSTERS * 4096,
  });
  /** By name of a snapshot: the one that it grew from. */
  readonly parents = new Map<string, string | undefined>();
  /** The same, as if nothing had been deleted. */
  readonly born = new Map<string, string | undefined>();
  /** What the active disk grew from. */
  grewFrom: string | undefined;
  #bornFrom: string | undefined;
  #made = 0;

  async edit(
    plan: (image: OpenImage<BlockDevice>) => Promise<EditPlan<BlockDevice>>,
  ): Promise<void> {
    const device = memoryDevice(this.bytes);
    await executePlan(await plan(await openImage(device)));
    this.bytes = device.snapshotBytes();
  }

  async create(date = this.#made): Promise<string> {
    const name = `s${this.#made}`;
    const at = { seconds: 1_700_000_000 + date, nanoseconds: 0 };
    await this.edit((image) => planCreate(image, { name, date: at }));
    this.parents.set(name, this.grewFrom);
    this.born.set(name, this.#bornFrom);
    this.#bornFrom = name;
    this.#made += 1;
    this.grewFrom = name;
    return name;
  }

  async apply(name: string): Promise<void> {
    await this.edit((image) => planApply(image, found(image, name), { discardChanges: true }));
    this.grewFrom = name;
    this.#bornFrom = name;
  }

  /** Its children are those of its own parent from now on. */
  async delete(name: string): Promise<void> {
    await this.edit((image) => planDelete(image, [found(image, name)]));
    const parent = this.parents.get(name);
    this.parents.delete(name);
    for (const [child, of] of this.parents) if (of === name) this.parents.set(child, parent);
    if (this.grewFrom === name) this.grewFrom = parent;
  }

  /** A snapshot, and those that it grew from, as if nothing had been deleted; nearest first. */
  lineOf(name: string | undefined): readonly string[] {
    return name === undefined ? [] : [name, ...this.lineOf(this.born.get(name))];
  }

  write(cluster: number): void {
    const disk = { bytes: this.bytes };
    guestWrite(disk, cluster, (cluster % 250) + 1);
    this.bytes = disk.bytes;
  }

  async ancestry(): Promise<Ancestry> {
    const device = memoryDevice(this.bytes);
    expect((await checkImage(device)).exitCode).toBe(0);
    return await inferAncestry(await measureUsage(await openImage(device)));
  }
}

function found(image: OpenImage, name: string) {
  return image.snapshots.find((one) => one.name === name)!;
}

async function nearestOf(bytes: Uint8Array): Promise<string | undefined> {
  const image = await openImage(memoryDevice(bytes));
  return (await computeUnsavedChanges(image))?.nearest.name;
}

const tally = new Map<string, number>();

function judge({ parent, alternatives, certainty }: Descent, truth: string | undefined): void {
  tally.set(certainty, (tally.get(certainty) ?? 0) + 1);
  if (certainty === 'told') expect(parent?.name).toBe(truth);
  if (certainty === 'first') expect(truth).toBeUndefined();
  if (certainty === 'tied') {
    expect([parent, ...alternatives].map((one) => one?.name)).toContain(truth);
  }
}

function writeSome(history: History, random: Random): void {
  const count = random.below(5);
  for (let i = 0; i < count; i++) history.write(random.below(DISK_CLUSTERS));
}

describe('histories of creates, applies and writes', () => {
  console.log(`QSNAP_SEED=${seed} QSNAP_ROUNDS=${rounds}`);
  test.each(Array.from({ length: rounds }, (_, i) => seed + i))('seed %i', async (own) => {
    const random = randomFrom(own);
    const history = new History();
    for (let step = 0; step < 9; step++) {
      writeSome(history, random);
      await history.create();
      const names = [...history.parents.keys()];
      if (random.chance(0.4)) await history.apply(random.pick(names));
    }
    writeSome(history, random);
    const { active, snapshots } = await history.ancestry();
    for (const one of snapshots) judge(one, history.parents.get(one.snapshot!.name));
    judge(active, history.grewFrom);
    // The mark of `list` is found in another way.
    const nearest = await nearestOf(history.bytes);
    if (active.certainty === 'told' && nearest !== undefined) {
      expect(nearest).toBe(active.parent!.name);
    }
  });
  afterAll(() => {
    console.log([...tally].map(([certainty, count]) => `${certainty}: ${count}`).join(', '));
    expect(tally.get('told')!).toBeGreaterThan((tally.get('tied') ?? 0) * 2);
  });
});

// A deleted parent hides: its other children may have more of what it had than the ancestor that is left.
test.each(Array.from({ length: Math.ceil(rounds / 2) }, (_, i) => seed + 1000 + i))(
  'deleted parents, seed %i: the parent is in the line, or grew from one that is gone',
  async (own) => {
    const random = randomFrom(own);
    const history = new History();
    for (let step = 0; step < 9; step++) {
      writeSome(history, random);
      await history.create();
      const names = [...history.parents.keys()];
      if (random.chance(0.3)) await history.apply(random.pick(names));
      if (random.chance(0.4)) await history.delete(random.pick(names));
    }
    const { snapshots } = await history.ancestry();
    for (const { snapshot, parent, certainty } of snapshots) {
      if (certainty !== 'told') continue;
      const line = history.lineOf(snapshot!.name);
      const meeting = history.lineOf(parent!.name).find((name) => line.includes(name));
      if (meeting !== parent!.name) expect(history.parents.has(meeting!)).toBe(false);
    }
  },
);

test('equal snapshots are tied, and the date says which one was later', async () => {
  const history = new History();
  history.write(1);
  await history.create(5);
  await history.create(3);
  history.write(2);
  await history.create(9);
  const { snapshots, active } = await history.ancestry();
  expect(snapshots.map(({ certainty }) => certainty)).toEqual(['first', 'told', 'tied']);
  expect(snapshots[2]!.parent!.name).toBe('s0');
  expect(snapshots[2]!.alternatives.map(({ name }) => name)).toEqual(['s1']);
  expect(snapshots[2]).toMatchObject({ newBytes: 4096, goneBytes: 0 });
  expect(active).toMatchObject({ certainty: 'told', newBytes: 0, goneBytes: 0 });
  expect(active.parent!.name).toBe('s2');
});

test('a snapshot of an empty disk tells nothing', async () => {
  const history = new History();
  await history.create();
  history.write(1);
  await history.create();
  const { snapshots } = await history.ancestry();
  expect(snapshots.map(({ certainty }) => certainty)).toEqual(['first', 'untold']);
  expect(snapshots[1]!.alternatives.map(({ name }) => name)).toEqual(['s0']);
});

// Of 10,000 snapshots of an empty disk, 50 million alternatives were named: more than a string takes.
test.each([
  ['of one state', 1, 'tied', 1],
  ['of an empty disk', 0, 'untold', 0],
] as const)(
  'many snapshots %s: eight are named, the others counted',
  async (_, writes, certainty, parents) => {
    const history = new History();
    for (let i = 0; i < writes; i++) history.write(i);
    await history.edit((image) => planMany(image, 40));
    const { active, snapshots } = await history.ancestry();
    for (const one of [...snapshots.slice(1 + parents), active]) {
      const candidates = one.snapshot?.index ?? 40;
      expect(one.certainty).toBe(certainty);
      expect(one.alternatives).toHaveLength(Math.min(8, candidates - parents));
      expect(one.alternatives.length + one.moreAlternatives).toBe(candidates - parents);
    }
    // Those that were taken last are named, the latest first.
    const named = [active.parent, ...active.alternatives].filter((one) => one !== undefined);
    expect(named.map(({ index }) => 39 - index)).toEqual([...named.keys()]);
  },
);
