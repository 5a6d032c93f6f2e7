import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { adviceOf, PHRASES } from '../../../../src/cli/qsnap/advice.js';
import { CATALOG, catalogEntry, isFindingCode } from '../../../../src/read/check/catalog.js';
import type { FindingCode } from '../../../../src/read/check/catalog.js';
import { checkImage } from '../../../../src/read/check/check-image.js';
import type { Finding } from '../../../../src/read/check/finding.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { loadFixture } from '../../../support/fixture.js';
import { damaged, EXAMPLES } from './examples.js';

const CODES = Object.keys(CATALOG).filter((code) => isFindingCode(code));

async function exampleFinding(code: FindingCode): Promise<Finding | undefined> {
  const { bytes, at } = damaged(EXAMPLES[code]);
  const { findings } = await checkImage(memoryDevice(bytes), EXAMPLES[code].options);
  return findings.find((finding) => finding.code === code && (at === 0 || finding.at === at));
}

describe('every finding', () => {
  test.each(CODES)('%s is found where it is', async (code) => {
    const { bytes, at } = damaged(EXAMPLES[code]);
    const { findings } = await checkImage(memoryDevice(bytes), EXAMPLES[code].options);
    const found = findings.filter((finding) => finding.code === code);
    expect(found.map((finding) => finding.at)).toContain(at === 0 ? found[0]?.at : at);
  });

  test.each(CODES)('%s names what is wrong in one sentence', async (code) => {
    const finding = await exampleFinding(code);
    expect(finding?.message).toMatch(/^[a-z].*[^.]$/);
    expect(finding?.message).not.toMatch(/undefined|NaN|\[object/);
  });

  test('a sound image has none of them', async () => {
    const { findings } = await checkImage(memoryDevice(loadFixture('version-3')));
    expect(findings).toEqual([]);
  });
});

test.each(PHRASES)(
  'the command line says other words for "%s", which some advice has',
  (ofEngine) => {
    const advices = Object.values(CATALOG).map(({ advice }) => advice);
    expect(advices.some((advice) => advice.includes(ofEngine))).toBe(true);
  },
);

test('docs/findings.md says of every finding what the program says', async () => {
  const page = fileURLToPath(new URL('../../../../docs/findings.md', import.meta.url));
  const text = readFileSync(page, 'utf8');
  let rendered = text.slice(0, text.indexOf('### ') === -1 ? undefined : text.indexOf('### '));
  for (const code of CODES) {
    const entry = catalogEntry(code);
    const { severity, beyondQemu, consequence, remedy, ofRefcounts } = entry;
    const finding = await exampleFinding(code);
    rendered +=
      `### ${code}\n\n` +
      `- Severity: ${severity}${beyondQemu === true ? ', beyond what QEMU looks for' : ''}\n` +
      `- For example: ${finding?.message}\n` +
      `- Consequence: ${consequence}\n` +
      `- Remedy: \`${remedy}\`; ${adviceOf(entry)}\n` +
      (ofRefcounts === undefined
        ? '\n'
        : `- Remedy where it is the refcounts that are wrong: \`${ofRefcounts.remedy}\`; ${adviceOf(ofRefcounts)}\n\n`);
  }
  await expect(rendered.trimEnd() + '\n').toMatchFileSnapshot(page);
});
