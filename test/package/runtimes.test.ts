/**
 * The build in other processes: always in this Node, and in the programs that `QSNAP_RUNTIMES` names,
 * one path after the other with colons between them.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { checkImage } from '../../src/index.js';
import { openFile } from '../../src/node/index.js';
import { temporaryDirectory } from '../support/directories.js';
import { copyFixture, expectedContents } from '../support/fixture.js';

const SCRIPT = fileURLToPath(new URL('runtime.mjs', import.meta.url));
const READ = ['compressed-zlib', 'compressed-zstd', 'luks', 'aes'];

const others = (process.env['QSNAP_RUNTIMES'] ?? '').split(':').filter((name) => name !== '');

describe.each([process.execPath, ...others])('%s', (program) => {
  test.each(['node', 'web'])('edits an image, and reads guest data by qsnap/%s', async (entry) => {
    const directory = mkdtempSync(path.join(temporaryDirectory(), 'images-'));
    const edited = copyFixture('five-snapshots', directory);
    for (const name of READ) copyFixture(name, directory);
    const { status, stdout, stderr } = spawnSync(program, [SCRIPT, directory, entry, ...READ], {
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const hashes = READ.map((name) => [name, expectedContents(name).active.sha256]);
    expect(JSON.parse(stdout)).toEqual({
      names: ['clean install', 'after database migration', 'release candidate', 'another runtime'],
      findings: [],
      streamed: true,
      hashes: Object.fromEntries(hashes) as unknown,
    });
    const source = await openFile(edited);
    const { findings } = await checkImage(source);
    await source.close();
    expect(findings).toEqual([]);
  });
});
