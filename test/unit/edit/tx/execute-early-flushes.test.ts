import { describe, expect, test } from 'vitest';
import { QsnapError } from '../../../../src/errors.js';
import type { BlockDevice } from '../../../../src/io/device.js';
import { executePlan } from '../../../../src/edit/tx/execute.js';
import type { WritePlan } from '../../../../src/edit/tx/plan.js';
import { madeOn } from '../../../support/plans.js';
import { AS_READ } from '../../../support/table-content.js';

const MiB = 2 ** 20;
const TABLE = MiB / 2;

/** A plan with so many tables of 512 KiB as its shadow. */
function planOf(tables: number): WritePlan {
  return {
    headerSector: new Uint8Array(512),
    fileSizeBytes: TABLE,
    shadow: [
      {
        kind: 'tables',
        what: 'L2 tables',
        tableBytes: TABLE,
        targets: Float64Array.from({ length: tables }, (_, i) => TABLE * (i + 1)),
        sources: undefined,
        content: AS_READ,
      },
    ],
    switch: { at: 24, bytes: new Uint8Array(72).fill(9) },
    freed: [],
    punch: [],
  };
}

interface Written {
  readonly at: number;
  /** Flushes that had begun, and those that were over, when it was sent. */
  readonly begun: number;
  readonly over: number;
}

/** A medium that keeps nothing; `flush` is what its n-th flush does, the first is 1. */
function medium(flush: (n: number) => Promise<void>) {
  const writes: Written[] = [];
  let begun = 0;
  let over = 0;
  let end = TABLE;
  let failure: QsnapError | undefined;
  const device: BlockDevice = {
    label: 'medium',
    growable: true,
    sizeBytes: () => Promise.resolve(end),
    readBatch: () => Promise.resolve(),
    writeBatch: async (requests) => {
      if (failure !== undefined) throw new QsnapError('WRITE_FAILED', 'not written any more');
      await Promise.resolve();
      for (const { at, bytes } of requests) {
        writes.push({ at, begun, over });
        end = Math.max(end, at + bytes.length);
      }
    },
    flush: async () => {
      begun += 1;
      try {
        await flush(begun);
      } catch (error) {
        failure = error as QsnapError;
        throw error;
      }
      over += 1;
    },
    truncate: (sizeBytes) => {
      end = sizeBytes;
      return Promise.resolve();
    },
    punchBatch: () => Promise.resolve(0),
    close: () => Promise.resolve(),
  };
  return { device, writes, flushes: () => begun };
}

const soon = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

describe('flushes while a shadow is written', () => {
  test('a small one has the flush before the shadow, the one before the switch and the one behind it', async () => {
    const { device, flushes } = medium(soon);
    await executePlan(madeOn(device, planOf(7)));
    expect(flushes()).toBe(3);
  });

  test('a large one is on its way to the medium early, one flush at a time', async () => {
    let running = 0;
    const { device, writes, flushes } = medium(async () => {
      running += 1;
      expect(running).toBe(1);
      await soon();
      running -= 1;
    });
    await executePlan(madeOn(device, planOf(40)));
    expect(flushes()).toBeGreaterThan(3);
    const [shadow, theSwitch] = [writes.slice(1, -1), writes.at(-1)!];
    expect(shadow.some(({ begun, over }) => begun > over)).toBe(true);
    // All of them, and one that began behind the last write, are over before the switch.
    expect(theSwitch).toMatchObject({ at: 24, begun: flushes() - 1, over: flushes() - 1 });
    expect(shadow.at(-1)!.begun).toBeLessThan(theSwitch.begun);
  });

  test.each([2, 3])(
    'when the %i. fails, it is what is told, and nothing is switched',
    async (n) => {
      const lost = new QsnapError('WRITE_FAILED', 'the medium lost it');
      const { device, writes } = medium(async (nth) => {
        await soon();
        if (nth === n) throw lost;
      });
      await expect(executePlan(madeOn(device, planOf(40)))).rejects.toMatchObject({
        message: 'the medium lost it',
        details: { imageState: 'old' },
      });
      expect(writes.filter(({ at }) => at === 24)).toHaveLength(1);
      expect(await device.sizeBytes()).toBe(TABLE);
    },
  );
});
