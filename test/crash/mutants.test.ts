import { describe, expect, test } from 'vitest';
import type { EditPlan, ShadowWrite } from '../../src/edit/tx/plan.js';
import { cutEverywhere, type CutOptions, type CutReport } from '../support/crash-judge-cuts.js';
import { editNamed } from '../support/crash-judge-edits.js';
import { loadFixture } from '../support/fixture.js';
import type { Recorded } from '../support/recording-device.js';
import { AS_READ } from '../support/table-content.js';

/**
 * Tests of the crash tests: engines that are wrong in one thing each. Every one of them must leave
 * at least one state that is neither the old nor the new one.
 */
type Mutation = Pick<CutOptions, 'alterPlan' | 'alterLog'>;

const SEED = Number(process.env['QSNAP_SEED'] ?? 99);
const OPTIONS = { seed: SEED, subsetLimit: 8, samples: 32, eitherSide: true };

function cut(fixture: string, edit: string, mutation: Mutation): Promise<CutReport> {
  return cutEverywhere(loadFixture(fixture), editNamed(edit), { ...OPTIONS, ...mutation });
}

const isSwitch = (entry: Recorded): boolean => entry.kind === 'write' && entry.at === 24;

/** The log in three parts: what comes before the switch and its flush, these two, and the rest. */
function parts(log: readonly Recorded[]): {
  readonly shadow: readonly Recorded[];
  readonly theSwitch: Recorded & { readonly kind: 'write' };
  readonly tidy: readonly Recorded[];
} {
  const at = log.findIndex(isSwitch);
  const theSwitch = log[at];
  if (theSwitch?.kind !== 'write') throw new Error('the edit wrote no switch');
  return { shadow: log.slice(0, at), theSwitch, tidy: log.slice(at + 2) };
}

const FLUSH: Recorded = { kind: 'flush' };

const mutations: Record<string, Mutation> = {
  'no flush before the switch': {
    alterLog: (log) =>
      log.filter((entry, i) => entry.kind !== 'flush' || i > log.findIndex(isSwitch)),
  },
  'the switch before the shadow': {
    alterLog: (log) => {
      const { shadow, theSwitch, tidy } = parts(log);
      return [theSwitch, FLUSH, ...shadow, ...tidy];
    },
  },
  'a switch of several writes': {
    alterLog: (log) => {
      const { shadow, theSwitch, tidy } = parts(log);
      // The active L1, the refcount table and the snapshot table, each by itself.
      const writes = [24, 48, 60].map((at, i, all): Recorded => {
        const end = all[i + 1] ?? 24 + theSwitch.bytes.length;
        return { kind: 'write', at, bytes: theSwitch.bytes.slice(at - 24, end - 24) };
      });
      return [...shadow, ...writes, FLUSH, ...tidy];
    },
  },
};

async function expectCaught(fixture: string, edit: string, mutation: Mutation): Promise<void> {
  expect((await cut(fixture, edit, {})).short).toEqual([]);
  const { short } = await cut(fixture, edit, mutation);
  expect(short.length).toBeGreaterThan(0);
}

describe.each(Object.entries(mutations))('%s', (_, mutation) => {
  test.each([
    ['cluster-512', 'create'],
    ['cluster-512', 'apply the first'],
    ['cluster-512', 'delete the first'],
    ['zeros-v2', 'save and apply the last'],
    ['names-odd', 'delete all but the first'],
    ['names-odd', 'rename the last'],
  ])('is caught in %s: %s', async (fixture, edit) => {
    await expectCaught(fixture, edit, mutation);
  });
});

describe('holes before the switch', () => {
  const mutation: Mutation = {
    alterLog: (log) => {
      const { shadow, theSwitch, tidy } = parts(log);
      expect(tidy.map(({ kind }) => kind)).toContain('punch');
      return [...shadow, ...tidy, FLUSH, theSwitch, FLUSH];
    },
  };

  // Edits that free guest data: others punch none.
  test.each([
    ['aes', 'delete the first'],
    ['cluster-512', 'delete the first'],
    ['compressed-v2', 'apply the first'],
    ['dates-extreme', 'apply the first'],
    ['dates-extreme', 'delete all but the first'],
    ['extra-data-v2', 'delete all but the first'],
  ])('are caught in %s: %s', async (fixture, edit) => {
    await expectCaught(fixture, edit, mutation);
  });
});

describe('a new copy in a cluster that the edit frees', () => {
  /** Puts the first write of one kind over the place that the old structure has. */
  const overwrite = (what: string, header: number): Mutation => ({
    alterPlan: (plan: EditPlan) => {
      const view = new DataView(plan.headerSector.buffer, plan.headerSector.byteOffset);
      const at = Number(view.getBigUint64(header));
      expect(plan.punch.some((range) => range.at <= at && at < range.at + range.length)).toBe(true);
      const shadow = plan.shadow.map((write): ShadowWrite => {
        return write.kind === 'literal' && write.what === what ? { ...write, at } : write;
      });
      const bytes = plan.switch.bytes.slice();
      new DataView(bytes.buffer).setBigUint64(header - plan.switch.at, BigInt(at));
      // The rules refuse to write over what the old state has: here nobody tells them.
      return { ...plan, shadow, switch: { ...plan.switch, bytes }, punch: [], freed: [] };
    },
  });

  test.each([
    ['snapshot table', 64],
    ['refcount table', 48],
    ['active L1', 40],
  ])('is caught: the %s', async (what, header) => {
    const { short } = await cut(
      'dates-extreme',
      'delete all but the first',
      overwrite(what, header),
    );
    // The old state is harmed before the switch was sent, and that is what has to be seen.
    expect(short.some((text) => text.startsWith('after 0 flushes'))).toBe(true);
  });
});

describe('a stale COPIED flag', () => {
  const keepFlags: Mutation = {
    alterPlan: (plan) => ({
      ...plan,
      shadow: plan.shadow.map((write) => {
        return write.what === 'L2 tables' && write.kind === 'tables'
          ? { ...write, content: AS_READ }
          : write;
      }),
    }),
  };
  const setFlag: Mutation = {
    alterPlan: (plan) => ({
      ...plan,
      shadow: plan.shadow.map((write) => {
        if (write.kind !== 'literal' || write.what !== 'active L1') return write;
        const bytes = write.bytes.slice();
        for (let at = 0; at < bytes.length; at += 8) {
          if (bytes.subarray(at, at + 8).some((byte) => byte !== 0)) bytes[at]! ^= 0x80;
        }
        return { ...write, bytes };
      }),
    }),
  };

  test.each([
    ['in L2 tables', 'create', keepFlags],
    ['in L2 tables', 'delete all but the first', keepFlags],
    ['in the active L1', 'create', setFlag],
    ['in the active L1', 'delete all but the first', setFlag],
  ])('%s is caught: %s', async (_, edit, mutation) => {
    const { short } = await cut('refcount-64', edit, mutation);
    expect(short.some((text) => text.includes('COPIED'))).toBe(true);
  });
});
