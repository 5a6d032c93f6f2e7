/**
 * Any sequence of edits and guest writes, against a model that is nothing but arrays: the disk's
 * cells, and a copy of them for each snapshot. Needs no QEMU.
 *
 * QSNAP_SEED repeats a run, QSNAP_ROUNDS makes it longer.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  executePlan,
  findSnapshot,
  isQsnapError,
  memoryDevice,
  openImage,
  planApply,
  planCreate,
  planDelete,
  planRename,
  snapshotsEqualToActive,
  type EditPlan,
  type OpenImage,
} from '../../src/index.js';
import {
  buildImage,
  cellBytesOf,
  checkImage,
  guestWrite,
  guestWriteCompressed,
  guestZero,
  layoutOf,
  readGuest,
  snapshotsOf,
  type BuildOptions,
} from '../support/image-builder.js';
import { roundsOf, seedOf } from '../support/model-random.js';
import type { BlockDevice } from '../../src/io/device.js';

const seed = seedOf();
const rounds = roundsOf(150);
const timeout = 60_000 + rounds * 1000;
const date = { seconds: 1_700_000_000, nanoseconds: 0 };

/** The disk as it should be: one byte for each cell, since a write fills whole cells. */
interface Model {
  cells: Uint8Array;
  snapshots: { id: string; name: string; readonly cells: Uint8Array }[];
  made: number;
}

/** The image as it is. */
interface Real {
  bytes: Uint8Array;
  readonly cellBytes: number;
}

type Command = fc.AsyncCommand<Model, Real>;

/** How often each kind ran, and how often the engine refused for want of refcount bits. */
const tally = { ran: new Map<string, number>(), refused: 0 };

async function edit(
  real: Real,
  plan: (image: OpenImage<BlockDevice>) => Promise<EditPlan<BlockDevice>>,
): Promise<boolean> {
  const device = memoryDevice(real.bytes);
  try {
    await executePlan(await plan(await openImage(device)));
  } catch (error) {
    if (!isQsnapError(error) || error.code !== 'REFCOUNT_OVERFLOW') throw error;
    expect(Buffer.compare(device.snapshotBytes(), real.bytes), 'bytes unchanged').toBe(0);
    tally.refused += 1;
    return false;
  }
  real.bytes = device.snapshotBytes();
  return true;
}

/** A command that runs `act` and then holds the whole image to the model. */
function command(
  text: string,
  possible: (model: Model) => boolean,
  act: (model: Model, real: Real) => Promise<void>,
): Command {
  const [kind] = text.split(' ');
  return {
    check: possible,
    run: async (model, real) => {
      tally.ran.set(kind!, (tally.ran.get(kind!) ?? 0) + 1);
      await act(model, real);
      await compare(model, real);
    },
    toString: () => text,
  };
}

const always = (): boolean => true;
const hasSnapshots = (model: Model): boolean => model.snapshots.length > 0;

async function compare(model: Model, real: Real): Promise<void> {
  const { bytes, cellBytes } = real;
  expect(checkImage(bytes)).toEqual({ corruptions: [], leaks: [] });
  const plain = snapshotsOf(bytes).snapshots;
  const names = model.snapshots.map(({ id, name }) => ({ id, name }));
  expect(plain.map(({ id, name }) => ({ id, name }))).toEqual(names);
  expectCells(readGuest(bytes, layoutOf(bytes)), model.cells, cellBytes, 'active disk');
  plain.forEach((snapshot, i) => {
    const { cells, name } = model.snapshots[i]!;
    expectCells(readGuest(bytes, snapshot), cells, cellBytes, name);
  });
  const image = await openImage(memoryDevice(bytes));
  expect(image.snapshots.map(({ id, name }) => ({ id, name }))).toEqual(names);
  // Equal mappings mean equal content; equal content may be mapped in different ways.
  for (const index of await snapshotsEqualToActive(image)) {
    expect(Buffer.compare(model.snapshots[index]!.cells, model.cells), 'equal disks').toBe(0);
  }
}

function expectCells(disk: Uint8Array, cells: Uint8Array, cellBytes: number, what: string): void {
  const expected = new Uint8Array(cells.length * cellBytes);
  cells.forEach((value, i) => expected.fill(value, i * cellBytes, (i + 1) * cellBytes));
  const same = Buffer.compare(disk, expected.subarray(0, disk.length)) === 0;
  expect(same, `content of ${what}`).toBe(true);
}

const create = fc.constant(
  command('create', always, async (model, real) => {
    const name = `snapshot ${model.made++}`;
    const done = await edit(real, (image) => planCreate(image, { name, date }));
    if (!done) return;
    const id = String(Math.max(0, ...model.snapshots.map((snapshot) => Number(snapshot.id))) + 1);
    model.snapshots.push({ id, name, cells: model.cells.slice() });
  }),
);

const apply = fc.nat(20).map((n) =>
  command(`apply ${n}`, hasSnapshots, async (model, real) => {
    const target = model.snapshots[n % model.snapshots.length]!;
    const done = await edit(real, (image) => {
      const snapshot = findSnapshot(image.snapshots, `id:${target.id}`);
      return planApply(image, snapshot, { discardChanges: true });
    });
    if (done) model.cells = target.cells.slice();
  }),
);

const applySaving = fc.nat(20).map((n) =>
  command(`apply-saving ${n}`, hasSnapshots, async (model, real) => {
    const target = model.snapshots[n % model.snapshots.length]!;
    const name = `saved ${model.made++}`;
    const done = await edit(real, (image) => {
      const snapshot = findSnapshot(image.snapshots, `id:${target.id}`);
      return planApply(image, snapshot, { saveAs: { name, date } });
    });
    if (!done) return;
    const id = String(Math.max(...model.snapshots.map((snapshot) => Number(snapshot.id))) + 1);
    model.snapshots.push({ id, name, cells: model.cells });
    model.cells = target.cells.slice();
  }),
);

const deleteSome = fc.uniqueArray(fc.nat(20), { minLength: 1, maxLength: 5 }).map((picks) =>
  command(`delete ${picks.join(' ')}`, hasSnapshots, async (model, real) => {
    const dropped = new Set(picks.map((n) => n % model.snapshots.length));
    const done = await edit(real, (image) => {
      return planDelete(
        image,
        image.snapshots.filter(({ index }) => dropped.has(index)),
      );
    });
    expect(done).toBe(true);
    model.snapshots = model.snapshots.filter((_, i) => !dropped.has(i));
  }),
);

const rename = fc.tuple(fc.nat(20), fc.nat(250)).map(([n, length]) =>
  command(`rename ${n} ${length}`, hasSnapshots, async (model, real) => {
    const target = model.snapshots[n % model.snapshots.length]!;
    const name = `${model.made++}`.padEnd(length, 'x');
    const done = await edit(real, (image) => {
      return planRename(image, findSnapshot(image.snapshots, `id:${target.id}`), name);
    });
    expect(done).toBe(true);
    target.name = name;
  }),
);

const write = fc.tuple(fc.nat(), fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 255 }));
const guestWrites = write.map(([n, count, fill]) =>
  command(`write ${n} ${count} ${fill}`, always, (model, real) => {
    const first = n % model.cells.length;
    for (let cell = first; cell < Math.min(first + count, model.cells.length); cell++) {
      guestWrite(real, cell, fill);
      model.cells[cell] = fill;
    }
    return Promise.resolve();
  }),
);

const guestZeros = fc
  .tuple(fc.nat(), fc.integer({ min: 1, max: 8 }), fc.boolean())
  .map((picked) => {
    const [n, count, keep] = picked;
    return command(`zero ${n} ${count} ${keep}`, always, (model, real) => {
      const first = n % model.cells.length;
      for (let cell = first; cell < Math.min(first + count, model.cells.length); cell++) {
        guestZero(real, cell, keep);
        model.cells[cell] = 0;
      }
      return Promise.resolve();
    });
  });

const fillsOf = fc.uint8Array({ minLength: 1, maxLength: 6 });
const guestCompressed = fc.tuple(fc.nat(), fillsOf).map(([n, fills]) => {
  return command(`compress ${n} ${fills.join(' ')}`, always, (model, real) => {
    const perCluster = layoutOf(real.bytes).clusterBytes / real.cellBytes;
    const clusters = Math.ceil(model.cells.length / perCluster);
    const first = n % clusters;
    const written = fills.subarray(0, clusters - first);
    guestWriteCompressed(real, first, written);
    written.forEach((fill, i) => {
      model.cells.fill(fill, (first + i) * perCluster, (first + i + 1) * perCluster);
    });
    return Promise.resolve();
  });
});

/** The file gets longer by zeros, and then may end inside a cluster. */
const lengthen = fc.constantFrom(1, 511, 512, 700, 3000).map((more) =>
  command(`lengthen ${more}`, always, (_, real) => {
    const longer = new Uint8Array(real.bytes.length + more);
    longer.set(real.bytes);
    real.bytes = longer;
    return Promise.resolve();
  }),
);

const kinds: readonly fc.Arbitrary<Command>[] = [
  create,
  apply,
  applySaving,
  deleteSome,
  rename,
  guestWrites,
  guestZeros,
  guestCompressed,
  lengthen,
];

/** Each run drops some kinds, so that the others meet in ways that an even mix never shows. */
const commandLists = fc
  .subarray([0, 1, 2, 3, 4, 5, 6, 7, 8], { minLength: 3 })
  .filter((chosen) => chosen.includes(0))
  .chain((chosen) => {
    // Twice the create: without snapshots most commands have nothing to do.
    return fc.commands([create, ...chosen.map((i) => kinds[i]!)], { maxCommands: 30, size: 'max' });
  });

const images: fc.Arbitrary<BuildOptions> = fc
  .record({
    version: fc.constantFrom(2 as const, 3 as const, 3 as const),
    clusterBits: fc.constantFrom(9, 9, 10, 12),
    refcountOrder: fc.constantFrom(4, 4, 0, 1, 2, 3, 5, 6),
    extendedL2: fc.boolean(),
    clusters: fc.integer({ min: 1, max: 200 }),
    odd: fc.constantFrom(0, 512),
  })
  .map(({ version, clusterBits, refcountOrder, extendedL2, clusters, odd }) => {
    const withExtended = version === 3 && extendedL2;
    const bits = withExtended ? 14 : clusterBits;
    const size = (withExtended ? Math.ceil(clusters / 40) : clusters) * 2 ** bits;
    return {
      version,
      clusterBits: bits,
      refcountOrder: version === 2 ? 4 : refcountOrder,
      extendedL2: withExtended,
      diskSizeBytes: size - (size > 512 ? odd : 0),
    };
  });

describe('a plain model of a disk with snapshots', () => {
  test('agrees after any sequence of edits and guest writes', { timeout }, async () => {
    console.log(`QSNAP_SEED=${seed} QSNAP_ROUNDS=${rounds}`);
    await fc.assert(
      fc.asyncProperty(images, commandLists, async (options, commands) => {
        const setup = (): { model: Model; real: Real } => {
          const bytes = buildImage(options);
          const cellBytes = cellBytesOf(layoutOf(bytes));
          const cells = new Uint8Array(Math.ceil(options.diskSizeBytes / cellBytes));
          return { model: { cells, snapshots: [], made: 0 }, real: { bytes, cellBytes } };
        };
        await fc.asyncModelRun(setup, commands);
      }),
      { seed, numRuns: rounds },
    );
    const ran = [...tally.ran].map(([kind, count]) => `${kind} ${count}`).join(', ');
    console.log(`${ran}; refused for want of refcount bits ${tally.refused}`);
    for (const kind of ['create', 'apply', 'delete', 'rename', 'write', 'zero', 'compress']) {
      expect(tally.ran.get(kind) ?? 0, kind).toBeGreaterThan(rounds / 2);
    }
  });
});
