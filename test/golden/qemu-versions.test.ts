/** What was recorded of versions of qemu-img that are not installed here. */
import { describe, expect, test } from 'vitest';
import { memoryDirectory } from '../support/directories.js';
import { oneInWithEach } from '../support/left-out.js';
import { ourOutcome } from '../oracle/parity.js';
import { comparable, recordedLines, recordedVersions } from '../oracle/recorded-versions.js';
import { makeVersionFiles } from '../oracle/version-lines.js';

test('there are recordings', () => {
  expect(recordedVersions()).toEqual(['11.1', 'debian-10.0']);
});

describe.each(recordedVersions())('%s', (version) => {
  const lines = oneInWithEach(3, recordedLines(version), ({ argv }) => argv.slice(0, 1));
  test.each(lines.map((line) => [line.argv.join(' '), line] as const))('%s', async (_, line) => {
    const folder = memoryDirectory();
    makeVersionFiles(folder);
    const { argv, ...expected } = line;
    const ours = await ourOutcome(argv, folder, { env: { QSNAP_QEMU_VERSION: version } });
    expect(comparable(ours)).toEqual(expected);
  });
});
