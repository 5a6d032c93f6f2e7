/**
 * What a plan says that was made over a source opened for reading is what an edit or a repair does:
 * the same error, or an image that is byte for byte what the plan was going to make of it.
 */
import { Blob } from 'node:buffer';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { planWithinRoom, editWithinRoom } from '../../src/edit/plan/within-room.js';
import { isQsnapError } from '../../src/errors.js';
import { openImage, type OpenOptions } from '../../src/image/open.js';
import { blobSource } from '../../src/io/blob.js';
import type { BlockDevice, BlockSource } from '../../src/io/device.js';
import { httpSource } from '../../src/io/http-range.js';
import { memoryDevice } from '../../src/io/memory.js';
import { openFileSource } from '../../src/node/files/file.js';
import { openFileDevice } from '../../src/node/files/open-for-edit.js';
import { FileDevice } from '../../src/node/files/file-device.js';
import { FileSource } from '../../src/node/files/file-source.js';
import { openFile, openFileForEdit } from '../../src/node/index.js';
import { proposeRepair } from '../../src/edit/repair/propose.js';
import { executePlan } from '../../src/edit/tx/execute.js';
import type { EditPlan } from '../../src/edit/tx/plan.js';
import { previewPlan } from '../../src/edit/tx/preview.js';
import { editsFor } from '../support/crash-judge-edits.js';
import { checkPlain } from '../support/crash-judge.js';
import { HARMLESS_DAMAGE, patientOf } from '../support/damage.js';
import { temporaryDirectory } from '../support/directories.js';
import { loadFixture } from '../support/fixture.js';
import { layoutOf } from '../support/image-builder.js';
import { withLoopDevice } from '../support/loop-device.js';
import { seededRandom } from '../support/mutate.js';
import { rangeServer } from '../support/range-server.js';
import { memoryCalls, stingyCalls } from './few-calls.js';

const SEED = Number(process.env['QSNAP_SEED'] ?? 4711);
const FIXTURES = ['cluster-512', 'compressed-v2', 'extended-l2-16k', 'refcount-64', 'zeros-v2'];

/** Bytes on a medium: opened for reading, and for an edit. */
interface Medium {
  readonly reading: BlockSource;
  readonly editing: BlockDevice;
}

function fileWith(bytes: Uint8Array): string {
  const file = path.join(temporaryDirectory(), 'image.qcow2');
  writeFileSync(file, bytes);
  return file;
}

const growing = { fixedBytes: undefined };
const fewCalls = (bytes: Uint8Array, fixedBytes: number | undefined): Medium => {
  const calls = stingyCalls(memoryCalls(bytes), 4096);
  const facts = { fixedBytes };
  return {
    reading: new FileSource('few calls', calls, facts),
    editing: new FileDevice('few calls', calls, facts),
  };
};

const MEDIA: Readonly<Record<string, (bytes: Uint8Array) => Promise<Medium> | Medium>> = {
  memory: (bytes) => {
    const device = memoryDevice(bytes);
    return { reading: device, editing: device };
  },
  'memory of a fixed length': (bytes) => {
    const device = memoryDevice(bytes, 'fixed', { growable: false });
    return { reading: device, editing: device };
  },
  'a file': async (bytes) => {
    const file = fileWith(bytes);
    return { reading: await openFileSource(file), editing: await openFileDevice(file) };
  },
  'part of a buffer a call': (bytes) => fewCalls(bytes, growing.fixedBytes),
  'a block device by its calls': (bytes) => fewCalls(bytes, bytes.length),
  'a blob, and the file that it is of': async (bytes) => ({
    reading: blobSource(new Blob([bytes])),
    editing: await openFileDevice(fileWith(bytes)),
  }),
};

type Make = <Source extends BlockSource>(
  source: Source,
  how: OpenOptions,
) => Promise<{ readonly plan: EditPlan<Source> | undefined }>;

async function bytesOf(source: BlockSource): Promise<Uint8Array> {
  const into = new Uint8Array(await source.sizeBytes());
  await source.readBatch([{ at: 0, into }]);
  return into;
}

/** The bytes that a plan makes, or the error with which planning ended. */
async function foretold(source: BlockSource, make: Make): Promise<unknown> {
  try {
    const { plan } = await planWithinRoom(source, (how) => make(source, how));
    if (plan === undefined) return await bytesOf(source);
    const bytes = await bytesOf(previewPlan(source, plan));
    for (const { at, length } of plan.punch) bytes.fill(0, at, at + length);
    return bytes;
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    return { code: error.code, bytesNeeded: error.details.bytesNeeded };
  }
}

async function done(device: BlockDevice, make: Make): Promise<unknown> {
  try {
    await editWithinRoom(
      device,
      (how) => make(device, how),
      async ({ plan }) => {
        if (plan !== undefined) await executePlan(plan);
      },
    );
    return await bytesOf(device);
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    return { code: error.code, bytesNeeded: error.details.bytesNeeded };
  }
}

const total = { bytes: 0, refused: 0 };

/** Long arrays are compared as bytes: equality of values is slow. */
function expectSame(found: unknown, expected: unknown): void {
  if (expected instanceof Uint8Array && found instanceof Uint8Array) {
    expect(Buffer.compare(found, expected)).toBe(0);
    total.bytes += 1;
  } else {
    expect(found).toEqual(expected);
    total.refused += 1;
  }
}

async function expectForetold({ reading, editing }: Medium, make: Make): Promise<void> {
  const wasSound = checkPlain(await bytesOf(editing)).corruptions.length === 0;
  const expected = await foretold(reading, make);
  expectSame(await done(editing, make), expected);
  if (wasSound) expect(checkPlain(await bytesOf(editing)).corruptions).toEqual([]);
}

/** The image with free clusters at its end, the last of them without its last bytes. */
function withFree(bytes: Uint8Array, clusters: number, missing = 0): Uint8Array {
  const { clusterBytes } = layoutOf(bytes);
  const all = (Math.ceil(bytes.length / clusterBytes) + clusters) * clusterBytes;
  const longer = new Uint8Array(clusters === 0 ? all : all - (missing % clusterBytes));
  longer.set(bytes);
  return longer;
}

/** An image with so much room inside, and an edit or a repair of it. */
const situations = fc
  .record({
    fixture: fc.constantFrom(...FIXTURES),
    freeClusters: fc.integer({ min: 0, max: 40 }),
    missing: fc.constantFrom(0, 0, 1, 512),
    pick: fc.nat(),
    damage: fc.option(fc.nat(), { freq: 2 }),
  })
  .map(({ fixture, freeClusters, missing, pick, damage }) => {
    const bytes = withFree(loadFixture(fixture), freeClusters, missing);
    if (damage === null) {
      const edits = editsFor(bytes);
      const { name, plan } = edits[pick % edits.length]!;
      const make: Make = async (source, how) => ({
        plan: await plan(await openImage(source, how)),
      });
      return { what: `${name}, ${fixture}, ${freeClusters} free`, bytes, make };
    }
    const patient = patientOf(bytes);
    const kinds = Object.entries(HARMLESS_DAMAGE);
    const [kind, harm] = kinds[damage % kinds.length]!;
    harm(patient, seededRandom(pick));
    const make: Make = (source, how) => proposeRepair(source, () => ({ classes: ['all'] }), how);
    return {
      what: `repair of ${kind}, ${fixture}, ${freeClusters} free`,
      bytes: patient.bytes,
      make,
    };
  });

describe.each(Object.entries(MEDIA))('%s', (_, mediumOf) => {
  test('what is planned is what is done', async () => {
    const property = fc.asyncProperty(situations, async ({ bytes, make }) => {
      const medium = await mediumOf(bytes);
      await expectForetold(medium, make);
      await medium.editing.close();
    });
    await fc.assert(property, { seed: SEED, numRuns: 60 });
  });
});

test('a URL, and the file that it serves', async () => {
  const bytes = withFree(loadFixture('cluster-512'), 3);
  const server = await rangeServer({ bytes, etag: '"one"' });
  try {
    for (const { plan } of editsFor(bytes)) {
      const medium = { reading: await httpSource(server.url), editing: memoryDevice(bytes) };
      await expectForetold(medium, async (source, how) => ({
        plan: await plan(await openImage(source, how)),
      }));
    }
  } finally {
    await server.close();
  }
});

test('a block device of the system', async () => {
  for (const freeClusters of [0, 2, 40]) {
    const bytes = withFree(loadFixture('cluster-4k'), freeClusters);
    for (const { plan } of editsFor(bytes)) {
      const make: Make = async (source, how) => ({
        plan: await plan(await openImage(source, how)),
      });
      await withLoopDevice(fileWith(bytes), [], async (device) => {
        const reading = await openFile(device);
        expect(reading.growable).toBe(false);
        const expected = await foretold(reading, make);
        await reading.close();
        const editing = await openFileForEdit(device);
        const found = await done(editing, make);
        await editing.close();
        expectSame(found, expected);
        if (found instanceof Uint8Array) expect(checkPlain(found).corruptions).toEqual([]);
      });
    }
  }
});

afterAll(() => {
  console.log(
    `seed ${SEED}: ${total.bytes} images are what their plans foretold, ${total.refused} refusals`,
  );
});
