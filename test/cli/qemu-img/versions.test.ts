/** Which version of qemu-img is followed, and what the program calls itself. */
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  behaviourOf,
  NEWEST,
  versionNamed,
  versionPrinted,
  VERSIONS,
} from '../../../src/cli/qemu-img/version/behaviour.js';
import { installedVersion } from '../../../src/cli/qemu-img/version/installed-version.js';
import { programName } from '../../../src/cli/qemu-img/version/program-name.js';
import { temporaryDirectory } from '../../support/directories.js';
import { runInMemory } from './streams.js';

test.each([
  ['qemu-img version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)', '7.2'],
  ['qemu-img version 10.0.13 (Debian 1:10.0.13+ds-0+deb13u1)', 'debian-10.0'],
  ['qemu-img version 10.0.2 (Debian 1:10.0.2+ds-2+deb13u1~bpo12+1)', 'debian-10.0'],
  ['qemu-img version 10.0.2 (qemu-10.0.2-1.fc43)', '10.0'],
  ['qemu-img version 11.1.3 (Debian 1:11.1.3+ds-1)', '11.1'],
  ['qemu-img version 8.2.2 (Debian 1:8.2.2+ds-0ubuntu1)', '8.2'],
  ['qemu-img version 9.2.0', '9.0'],
  ['qemu-img version 10.2.1', '10.1'],
  ['qemu-img version 12.0.0', '11.1'],
  ['qemu-img version 2.11.1(Debian 1:2.11+dfsg-1ubuntu7)', '7.2'],
  ['qemu-img version 11.1.3 (qsnap 0.1.0)', undefined],
  ['something else', undefined],
  ['', undefined],
])('%s counts as %s', (text, version) => {
  expect(versionPrinted(`${text}\nCopyright`)).toBe(version);
});

test.each([
  ['7.2', '7.2'],
  ['debian-10.0', 'debian-10.0'],
  ['10.0.13', '10.0'],
  ['11', undefined],
  ['newest', undefined],
])('somebody who names %s means %s', (text, version) => {
  expect(versionNamed(text)).toBe(version);
});

test('what came with a version stays', () => {
  const each = VERSIONS.map(
    (version) => Object.values(behaviourOf(version)).filter(Boolean).length,
  );
  expect(each).toEqual(each.toSorted((a, b) => a - b));
});

test.each([
  [['node', '/usr/bin/node', '/usr/bin/qemu-img'], 'qemu-img'],
  [['/usr/bin/node', '/usr/bin/node', '/opt/qsnap/bin/qsnap-img.js'], 'qsnap-img'],
  [['nodejs', '/usr/bin/node22', 'x/other.cjs'], 'other'],
  [['/sbin/qemu-img', '/usr/bin/node', '/opt/qsnap/bin/qsnap-img.js'], 'qemu-img'],
] as const)('%j is called %s', ([argv0, executable, script], name) => {
  expect(programName(argv0, executable, script)).toBe(name);
});

test('the variable comes before what is installed, the option before the variable', async () => {
  const hint = async (argv: string[], env = {}) => (await runInMemory(argv, { env })).stderr;
  const env = { QSNAP_QEMU_VERSION: 'debian-10.0' };
  expect(await hint(['info'])).toContain("Try 'qsnap-img --help' for more information\n");
  expect(await hint(['info'], env)).toContain("Try 'qsnap-img info --help' for more info\n");
  expect(await hint(['--qemu-version=11.1', 'info'], env)).toContain("info --help' for more inf");
  expect(await hint(['--qemu-version', 'x', 'info'])).toContain("'x' is no version of qemu-img");
});

describe('the installed version', () => {
  const tool = (folder: string, says: string): string => {
    mkdirSync(folder, { recursive: true });
    const file = path.join(folder, 'qemu-img');
    writeFileSync(file, `#!/bin/sh\necho x >> '${folder}/asked'\necho '${says}'\n`);
    chmodSync(file, 0o755);
    return file;
  };
  const timesAsked = (folder: string): number =>
    readFileSync(path.join(folder, 'asked'), 'utf8').length / 2;

  test('is asked once, and anew when the program is another one', async () => {
    const folder = temporaryDirectory();
    const env = { PATH: `${folder}/bin:/bin:/usr/bin`, XDG_CACHE_HOME: `${folder}/cache` };
    tool(`${folder}/bin`, 'qemu-img version 8.2.2');
    for (let i = 0; i < 3; i++) expect(await installedVersion(env, '/none')).toBe('8.2');
    expect(timesAsked(`${folder}/bin`)).toBe(1);
    tool(`${folder}/bin`, 'qemu-img version 11.1.30');
    expect(await installedVersion(env, '/none')).toBe('11.1');
    expect(timesAsked(`${folder}/bin`)).toBe(2);
  });

  test('is not this program under another name, nor a script that leads back to it', async () => {
    const folder = temporaryDirectory();
    const own = tool(`${folder}/own`, 'never asked');
    mkdirSync(`${folder}/link`);
    symlinkSync(own, `${folder}/link/qemu-img`);
    tool(`${folder}/back`, 'qemu-img version 7.2.22 (qsnap 0.1.0)');
    tool(`${folder}/real`, 'qemu-img version 9.0.4');
    const PATH = ['link', 'back', 'real'].map((name) => `${folder}/${name}`).join(':');
    const env = { PATH: `${PATH}:/bin:/usr/bin`, XDG_CACHE_HOME: `${folder}/cache` };
    expect(await installedVersion(env, own)).toBe('9.0');
    expect(await installedVersion({ ...env, PATH: `${folder}/link` }, own)).toBe(NEWEST);
  });

  test('is found where nothing can be kept', async () => {
    const folder = temporaryDirectory();
    tool(`${folder}/bin`, 'qemu-img version 9.0.4');
    writeFileSync(`${folder}/cache`, 'a file');
    const env = { PATH: `${folder}/bin:/bin:/usr/bin`, XDG_CACHE_HOME: `${folder}/cache` };
    for (let i = 0; i < 2; i++) expect(await installedVersion(env, '/none')).toBe('9.0');
    expect(timesAsked(`${folder}/bin`)).toBe(2);
  });
});
