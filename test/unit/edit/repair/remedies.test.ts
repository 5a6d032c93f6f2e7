/** The catalogue's remedies are what repairs do: each class mends its findings, and none does more. */
import { describe, expect, test } from 'vitest';
import { CATALOG, catalogEntry, isFindingCode } from '../../../../src/read/check/catalog.js';
import type { FindingCode } from '../../../../src/read/check/catalog.js';
import {
  REPAIR_CLASSES,
  type Remedy,
  type RepairClass,
} from '../../../../src/read/check/finding-parts.js';
import type { Finding } from '../../../../src/read/check/finding.js';
import { isQsnapError } from '../../../../src/errors.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { parseRepairWords } from '../../../../src/edit/repair/choice.js';
import { proposeRepair, type ProposedRepair } from '../../../../src/edit/repair/propose.js';
import { patientOf, type Patient } from '../../../support/damage.js';
import { loadFixture } from '../../../support/fixture.js';
import { blockAt, OFFSET_MASK, putU64, u64 } from '../../../support/image-builder-layout.js';
import { damaged, EXAMPLES } from '../../read/check/examples.js';
import { oneIn } from '../../../support/left-out.js';

const CODES = Object.keys(CATALOG).filter((code) => isFindingCode(code));

/** Codes that stand for what several findings of other codes say, or that those bring with them. */
const BROUGHT_BY_OTHERS: Readonly<Partial<Record<FindingCode, string>>> = {
  MARKED_DIRTY: 'the mark goes only where all refcounts are right',
  MARKED_CORRUPT: 'the mark goes only where nothing is wrong',
};

async function proposal(
  code: FindingCode,
  words: readonly string[],
): Promise<ProposedRepair | undefined> {
  return proposalFor(damaged(EXAMPLES[code]).bytes, words);
}

/** Undefined where it is refused. */
async function proposalFor(
  bytes: Uint8Array,
  words: readonly string[],
): Promise<ProposedRepair | undefined> {
  try {
    return await proposeRepair(memoryDevice(bytes.slice()), () => parseRepairWords(words));
  } catch (error) {
    if (isQsnapError(error)) return undefined;
    throw error;
  }
}

const has = ({ findings }: ProposedRepair['after'], code: FindingCode): boolean =>
  findings.some((finding) => finding.code === code);

/** What a repair takes away by raising refcounts leaves a mark that says the same. */
const MARKED_BY: Readonly<Partial<Record<FindingCode, FindingCode>>> = {
  REFCOUNTS_CONTRADICT: 'CLUSTERS_DOUBTED',
};

const withRemedy = (...wanted: readonly string[]): FindingCode[] =>
  CODES.filter((code) => wanted.includes(catalogEntry(code).remedy));

describe('a class mends what it is the remedy of', () => {
  const cases = withRemedy(...REPAIR_CLASSES).map((code) => {
    return [code, catalogEntry(code).remedy as RepairClass] as const;
  });
  test.each(cases)('%s: %s', async (code, remedy) => {
    const made = await proposal(code, [remedy]);
    expect(made, 'refused').toBeDefined();
    expect(has(made!.after, code), BROUGHT_BY_OTHERS[code] ?? '').toBe(false);
  });
});

describe('no class does what needs a decision', () => {
  test.each(withRemedy('manual').filter((code) => code !== 'LEAKS_NOT_ALL_SEEN'))(
    '%s',
    async (code) => {
      for (const words of [['all'], ['leaks'], ['all', 'leaks']]) {
        const made = await proposal(code, words);
        if (made === undefined) continue;
        const stays = has(made.after, code) || has(made.after, MARKED_BY[code] ?? code);
        expect(stays, words.join(' ')).toBe(true);
      }
    },
  );
});

test('what may be lost data stays, whatever is chosen but its own class', async () => {
  for (const code of withRemedy('perhaps-lost')) {
    const made = await proposal(code, ['all', 'leaks', 'unreadable']);
    expect(made === undefined || has(made.after, code), code).toBe(true);
    expect(made?.facts.loweredClusters ?? 0, code).toBe(0);
  }
});

/** What else images suffer from of which the finding depends on what it is about. */
const MORE: Readonly<Record<string, (patient: Patient) => unknown>> = {
  'a refcount table past the end': ({ bytes }) => {
    putU64(bytes, 48, u64(bytes, 48) | (1n << 40n));
  },
  'a refcount table entry that leads to data': ({ bytes, layout, standard }) => {
    const data = standard.find(({ active }) => active)!.entry & OFFSET_MASK;
    putU64(bytes, layout.refcountTableAt, data);
  },
  "a snapshot's L1 at that of the disk": ({ bytes, layout }) => {
    putU64(bytes, layout.snapshotTableAt, BigInt(layout.l1At));
  },
  'an entry that leads to a refcount block': ({ bytes, layout, standard }) => {
    putU64(bytes, standard.find(({ active }) => !active)!.at, BigInt(blockAt(bytes, layout, 0)));
  },
  'an active entry that leads to the refcount table': ({ bytes, layout, standard }) => {
    putU64(bytes, standard.find(({ active }) => active)!.at, BigInt(layout.refcountTableAt));
  },
};

/** What each class may take away: any makes refcounts and flags safe, which is of class `all`. */
const TAKES: Readonly<Record<RepairClass, readonly Remedy[]>> = {
  all: ['all', 'leaks', 'none'],
  leaks: ['all', 'leaks', 'none'],
  unreadable: ['all', 'leaks', 'unreadable', 'none'],
  'perhaps-lost': ['all', 'leaks', 'perhaps-lost', 'none'],
};

/** Whoever gives up what may be lost, or what can't be read, gives up the signs of the loss with it. */
const SIGNS: Readonly<Partial<Record<RepairClass, readonly FindingCode[]>>> = {
  unreadable: ['FILE_CUT_OFF', 'CLUSTER_AT_TWO_PLACES', 'METADATA_OVERLAP'],
  'perhaps-lost': [
    'TABLE_EMPTIED',
    'DATA_FILE_DOUBTED',
    'TABLE_UNREFERENCED',
    'REFCOUNTS_CONTRADICT',
    'SNAPSHOT_UNLISTED',
  ],
};

describe('no class takes away what it is not the remedy of, not even by the way', () => {
  const damages = [
    ...CODES.map((code) => [code, damaged(EXAMPLES[code]).bytes] as const),
    ...Object.entries(MORE).map(([name, damage]) => {
      const patient = patientOf(loadFixture('version-3'));
      damage(patient);
      return [name, patient.bytes] as const;
    }),
  ];
  test.each(oneIn(4, damages))('%s', async (_, bytes) => {
    const gone: string[] = [];
    for (const name of REPAIR_CLASSES) {
      const made = await proposalFor(bytes, [name]);
      if (made === undefined) continue;
      const left = new Set([...made.after.findings, ...made.after.codesLeftOut].map(keyOf));
      // Raised refcounts contradict nothing any more; what may be lost stays in doubt.
      const isDoubted = (code: FindingCode): boolean =>
        code === 'REFCOUNTS_CONTRADICT' && made.after.ownersHidden;
      for (const finding of made.before.findings) {
        const { code, remedy } = finding;
        if (left.has(keyOf(finding)) || TAKES[name].includes(remedy)) continue;
        if (SIGNS[name]?.includes(code) === true || isDoubted(code)) continue;
        gone.push(`${name}: ${code} (${remedy})`);
      }
    }
    expect(gone).toEqual([]);
  });
});

const keyOf = ({ code, remedy }: Pick<Finding, 'code' | 'remedy'>): string => `${code} ${remedy}`;
