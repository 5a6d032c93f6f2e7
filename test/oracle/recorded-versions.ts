/**
 * What other versions of qemu-img printed for the command lines of `version-lines.ts`, recorded where they could be run:
 * `QSNAP_QEMU_IMG=PATH npx tsx test/oracle/recorded-versions.ts` writes the file of that version.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Version } from '../../src/cli/qemu-img/version/behaviour.js';
import { QEMU_IMG, qemuVersion, type Outcome } from './parity.js';
import { makeVersionFiles, VERSION_LINES } from './version-lines.js';

export interface RecordedLine extends Outcome {
  readonly argv: readonly string[];
}

const FOLDER = fileURLToPath(new URL('recorded/', import.meta.url));
const fileOf = (version: string): string => path.join(FOLDER, `${version}.json`);

export function recordedVersions(): Version[] {
  return readdirSync(FOLDER).map((file) => path.parse(file).name as Version);
}

export function recordedLines(version: Version): readonly RecordedLine[] {
  return JSON.parse(readFileSync(fileOf(version), 'utf8')) as readonly RecordedLine[];
}

/** Without what depends on the file system: how much room a file takes. */
export function comparable({ code, stdout, stderr }: Outcome): Outcome {
  const masked = stdout
    .replaceAll(/"actual-size": \d+/g, '"actual-size": 0')
    .replaceAll(/disk size: .*/g, 'disk size: 0 B');
  return { code, stdout: masked, stderr };
}

/** Help is each tool's own. */
export const isHelp = ({ stdout }: Outcome): boolean => /^Usage:|^usage:|\nusage: /m.test(stdout);

function record(): void {
  const lines: RecordedLine[] = [];
  for (const argv of VERSION_LINES) {
    const cwd = mkdtempSync(path.join(tmpdir(), 'qsnap-record-'));
    makeVersionFiles(cwd);
    const env = { ...process.env, LC_ALL: 'C', TZ: 'UTC' };
    const { status, ...printed } = spawnSync(QEMU_IMG, argv, { cwd, env, encoding: 'latin1' });
    const outcome = comparable({ code: status!, stdout: printed.stdout, stderr: printed.stderr });
    if (!isHelp(outcome)) lines.push({ argv, ...outcome });
    rmSync(cwd, { recursive: true });
  }
  mkdirSync(FOLDER, { recursive: true });
  const rows = lines.map((line) => JSON.stringify(line)).join(',\n');
  writeFileSync(fileOf(qemuVersion()), `[\n${rows}\n]\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) record();
