/** The catalogue's remedies are what repairs do: each class mends its findings, and none does more. */
import { describe, expect, test } from 'vitest';
import { CATALOG, catalogEntry, isFindingCode } from '../../../src/check/catalog.js';
import type { FindingCode } from '../../../src/check/catalog.js';
import { REPAIR_CLASSES, type RepairClass } from '../../../src/check/finding.js';
import { isQsnapError } from '../../../src/errors.js';
import { memoryDevice } from '../../../src/io/memory.js';
import { parseRepairWords } from '../../../src/repair/choice.js';
import { proposeRepair, type ProposedRepair } from '../../../src/repair/propose.js';
import { damaged, EXAMPLES } from '../check/examples.js';

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
  const { bytes } = damaged(EXAMPLES[code]);
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
