/** I/O errors at every call of a repair, of undoing it and of keeping what it overwrites. */
import { describe, expect, test } from 'vitest';
import { isQsnapError, type QsnapError } from '../../src/errors.js';
import { memoryDevice } from '../../src/io/memory.js';
import { newSha256 } from '../../src/node/sha256.js';
import { executePlan } from '../../src/edit/tx/execute.js';
import { saveUndo } from '../../src/edit/tx/save-undo.js';
import { executeUndo } from '../../src/edit/tx/undo.js';
import { repairCase, shortcomingOf, type RepairCase } from '../support/crash-judge-repair.js';
import { HARMLESS_DAMAGE, OVERLAPS, patientOf, UNREADABLE_DAMAGE } from '../support/damage.js';
import { loadFixture } from '../support/fixture.js';
import { seededRandom } from '../support/mutate.js';
import { crashStates, recordingDevice, type RecordingDevice } from '../support/recording-device.js';
import { leaveOut } from '../support/left-out.js';
import { madeOn } from '../support/plans.js';

const SEED = Number(process.env['QSNAP_SEED'] ?? 4714);
const FIXTURES = [
  'cluster-512',
  'refcount-1',
  'extended-l2-16k',
  'compressed-spanning',
  'zeros-v2',
];
const KINDS = { ...HARMLESS_DAMAGE, ...UNREADABLE_DAMAGE, ...OVERLAPS };
const ABOUT = { image: 'x', operation: 'repair' };

/** Every kind of damage once, on the fixtures in turn and on media that can grow and that can't. */
const CASES = Object.entries(KINDS).flatMap(([kind, damage], i) => [
  { kind, damage, fixture: FIXTURES[i % FIXTURES.length]!, growable: true },
  { kind, damage, fixture: FIXTURES[(i + 2) % FIXTURES.length]!, growable: false },
]);

async function errorOf(work: Promise<unknown>): Promise<QsnapError | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    if (isQsnapError(error)) return error;
    throw error;
  }
}

/** Fails each call in turn, wholly and half done. */
async function failEach(
  start: Uint8Array,
  growable: boolean,
  work: (device: RecordingDevice) => Promise<unknown>,
  judge: (error: QsnapError, after: Uint8Array, what: string) => Promise<void>,
): Promise<void> {
  const whole = recordingDevice(start, { growable });
  await work(whole);
  for (let n = 1; n <= whole.calls; n++) {
    for (const partly of [undefined, 'partly'] as const) {
      const device = recordingDevice(start, { growable });
      device.failAt(n, partly);
      const error = await errorOf(work(device));
      const what = `call ${n} of ${whole.calls}, ${partly ?? 'wholly'}`;
      expect(error?.code, what).toMatch(/^(READ|WRITE)_FAILED$/);
      await judge(error!, device.snapshotBytes(), what);
    }
  }
}

/** What the image may be, by what the error says of it. */
function expectAsSaid(
  one: RepairCase,
  error: QsnapError,
  after: Uint8Array,
  sides: readonly ['before' | 'after', 'before' | 'after'],
  what: string,
): void {
  const state = error.details.imageState;
  expect(['unchanged', 'old', 'old-or-new', 'new'], what).toContain(state);
  const may = state === 'old-or-new' ? 'either' : sides[state === 'new' ? 1 : 0];
  expect(shortcomingOf(after, one, may), what).toBeUndefined();
}

describe('an I/O error at the n-th call', () => {
  test.each(CASES)('$fixture, $kind, growable: $growable', async (test) => {
    const patient = patientOf(loadFixture(test.fixture));
    if (test.damage(patient, seededRandom(SEED)) === undefined) {
      leaveOut('kinds of damage that an image has no place for');
      return;
    }
    const one = await repairCase(patient.bytes, test.growable);
    if (one === undefined) {
      leaveOut('repairs that are refused');
      return;
    }
    const file = memoryDevice(one.undoFile);
    await failEach(
      one.damaged,
      test.growable,
      (device) => executePlan(madeOn(device, one.plan)),
      (error, after, what) => {
        expectAsSaid(one, error, after, ['before', 'after'], `repair, ${what}`);
        return Promise.resolve();
      },
    );
    await failEach(
      one.repaired,
      test.growable,
      (device) => executeUndo(device, file, newSha256),
      async (error, after, what) => {
        expectAsSaid(one, error, after, ['after', 'before'], `undo, ${what}`);
        const again = memoryDevice(after, 'again', { growable: test.growable });
        await executeUndo(again, file, newSha256);
        expect(shortcomingOf(again.snapshotBytes(), one, 'before'), what).toBeUndefined();
      },
    );
  });
});

describe('the undo file', () => {
  const damaged = (): Uint8Array => {
    const patient = patientOf(loadFixture('cluster-512'));
    HARMLESS_DAMAGE['refcount too low']!(patient, seededRandom(SEED));
    return patient.bytes;
  };

  test('that a cut or a fault left in part is refused, and nothing is written', async () => {
    const one = (await repairCase(damaged(), false))!;
    const source = memoryDevice(one.damaged, 'damaged', { growable: false });
    const recorded = recordingDevice();
    await saveUndo(source, one.plan, recorded, newSha256, ABOUT);
    let refused = 0;
    for (const { bytes } of crashStates(recorded.log, new Uint8Array(0), { seed: SEED })) {
      if (Buffer.compare(bytes, one.undoFile) === 0) continue;
      for (const start of [one.damaged, one.repaired]) {
        const device = memoryDevice(start, 'image', { growable: false });
        const error = await errorOf(executeUndo(device, memoryDevice(bytes), newSha256));
        expect(error?.code).toBe('UNDO_FILE_INVALID');
        expect(error?.details.imageState).toBe('unchanged');
        expect(Buffer.compare(device.snapshotBytes(), start)).toBe(0);
        refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(50);
  });

  test('is whole and on the medium before the repair begins, and does nothing until it did', async () => {
    const one = (await repairCase(damaged(), true))!;
    const recorded = recordingDevice();
    await saveUndo(memoryDevice(one.damaged), one.plan, recorded, newSha256, ABOUT);
    expect(recorded.log.at(-1)).toEqual({ kind: 'flush' });
    const device = memoryDevice(one.damaged);
    const report = await executeUndo(device, memoryDevice(one.undoFile), newSha256);
    expect(report).toEqual({ switched: false, restoredBytes: 0, cutBytes: 0 });
    expect(Buffer.compare(device.snapshotBytes(), one.damaged)).toBe(0);
  });

  test('that can not be written stops the repair before it begins', async () => {
    const one = (await repairCase(damaged(), false))!;
    const whole = recordingDevice();
    const source = memoryDevice(one.damaged, 'damaged', { growable: false });
    await saveUndo(source, one.plan, whole, newSha256, ABOUT);
    for (let n = 1; n <= whole.calls; n++) {
      const file = recordingDevice();
      file.failAt(n);
      const error = await errorOf(saveUndo(source, one.plan, file, newSha256, ABOUT));
      expect(error?.code, `call ${n}`).toMatch(/^(READ|WRITE)_FAILED$/);
    }
    expect(Buffer.compare(source.snapshotBytes(), one.damaged)).toBe(0);
  });
});
