/** QEMU's tools as the judge of what qsnap writes: typed calls of qemu-img and qemu-io. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  constants,
  createReadStream,
  mkdtempSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { expect } from 'vitest';
import { memoryDirectory } from './directories.js';
import { describeUnless, leaveOut } from './left-out.js';
import { runProgram, SHELLS_OWN } from './tool-shell.js';

/** Whether qemu-img and qemu-io can be run here. */
export const qemuAvailable: boolean = ['qemu-img', 'qemu-io'].every(
  (tool) => spawnSync(tool, ['--version'], { stdio: 'ignore' }).status === 0,
);

const NO_QEMU = 'qemu-img and qemu-io are not installed (Debian: apt install qemu-utils)';

/**
 * `describe` for tests that ask QEMU. Without QEMU they are reported as skipped, with a line that
 * says so; where `QSNAP_REQUIRE_QEMU=1` is set they fail instead.
 */
export function describeWithQemu(name: string, fn: () => void): void {
  const lack = qemuAvailable ? undefined : NO_QEMU;
  describeUnless(lack, 'QSNAP_REQUIRE_QEMU', name, fn);
}

/**
 * What QEMU says of something that a test looks at without it, too. Where QEMU is not installed that is left
 * out, and told, or fails where `QSNAP_REQUIRE_QEMU=1` is set.
 */
export async function judgedByQemu(judge: () => Promise<void>): Promise<void> {
  if (qemuAvailable) return judge();
  if (process.env['QSNAP_REQUIRE_QEMU'] === '1') throw new Error(NO_QEMU);
  leaveOut(`what QEMU says of it: ${NO_QEMU}`);
}

export interface ToolResult {
  readonly stdout: string;
  readonly stderr: string;
  /** Exit code. A tool that a signal ended throws. */
  readonly code: number;
}

export interface ToolOptions {
  readonly cwd?: string;
  /** Added to the environment of this process; times are UTC and messages English by default. */
  readonly env?: Readonly<Record<string, string>>;
  /** Exit codes that don't throw. Default: only 0. `'any'` accepts all. */
  readonly okCodes?: readonly number[] | 'any';
}

async function runTool(
  tool: string,
  args: readonly string[],
  options: ToolOptions,
): Promise<ToolResult> {
  const ok = options.okCodes ?? [0];
  const env = { LC_ALL: 'C', TZ: 'UTC', ...options.env };
  const ended = await runProgram({ program: tool, args, cwd: options.cwd, env });
  const [stdout, stderr] = [ended.stdout, ended.stderr].map((bytes) => bytes.toString('utf8'));
  const { code } = ended;
  if (code < SHELLS_OWN && (ok === 'any' || ok.includes(code))) {
    return { stdout: stdout!, stderr: stderr!, code };
  }
  throw new Error(`${tool} ${args.join(' ')}: exit code ${code}\n${stdout}${stderr}`);
}

/**
 * What qemu-img says when the processor time of its thread did not advance while it timed the key
 * derivation for a LUKS header: chance of a coarse clock (one in twenty on a busy machine), and no
 * verdict on the image.
 */
const CLOCK_STOOD_STILL = 'Unable to get accurate CPU usage';
const CLOCK_ATTEMPTS = 20;

/**
 * Runs `qemu-img` with these arguments, anew when only its clock kept it from making a LUKS header.
 *
 * @throws Error with the whole output when the exit code is not one of `okCodes`.
 */
export async function qemuImg(
  args: readonly string[],
  options: ToolOptions = {},
): Promise<ToolResult> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await runTool('qemu-img', args, options);
    } catch (error) {
      const byChance = error instanceof Error && error.message.includes(CLOCK_STOOD_STILL);
      if (!byChance || attempt === CLOCK_ATTEMPTS) throw error;
    }
  }
}

export interface QemuIoOptions extends ToolOptions {
  /** `path` is an option string such as `driver=qcow2,file.filename=…` (`--image-opts`). */
  readonly imageOpts?: boolean;
  readonly readOnly?: boolean;
  readonly forceShare?: boolean;
  /** Image format; default: what QEMU detects. */
  readonly format?: string;
}

/**
 * Runs `qemu-io` commands on an image, such as `write -P 7 0 64k`. qemu-io ends with code 1 when
 * a command failed, and a failed verification (`read -P`) counts as one.
 */
export function qemuIo(
  image: string,
  commands: readonly string[],
  options: QemuIoOptions = {},
): Promise<ToolResult> {
  const args = commands.flatMap((command) => ['-c', command]);
  if (options.imageOpts === true) args.push('--image-opts');
  if (options.readOnly === true) args.push('-r');
  if (options.forceShare === true) args.push('-U');
  if (options.format !== undefined) args.push('-f', options.format);
  return runTool('qemu-io', [...args, image], options);
}

/** What `qemu-img check --output=json` says. Numbers that are 0 are absent. */
export interface CheckReport {
  readonly 'check-errors': number;
  readonly corruptions?: number;
  readonly leaks?: number;
  readonly 'corruptions-fixed'?: number;
  readonly 'leaks-fixed'?: number;
  readonly 'image-end-offset'?: number;
  readonly 'total-clusters'?: number;
  readonly 'allocated-clusters'?: number;
  readonly 'fragmented-clusters'?: number;
  readonly 'compressed-clusters'?: number;
}

export interface CheckResult extends ToolResult {
  /** Undefined when QEMU could not check the image at all (codes 1 and 63). */
  readonly report: CheckReport | undefined;
}

/** `qemu-img check` of a qcow2 image: the report and the exit code, whatever that is. */
export async function check(image: string): Promise<CheckResult> {
  const args = ['check', '--output=json', '-f', 'qcow2', image];
  const result = await qemuImg(args, { okCodes: [0, 1, 2, 3, 63] });
  const json = result.stdout.trim();
  const report = json.startsWith('{') ? (JSON.parse(json) as CheckReport) : undefined;
  return { ...result, report };
}

/** Expects that `qemu-img check` finds neither corruptions nor leaks nor errors. */
export async function expectClean(image: string): Promise<void> {
  const { code, report, stderr } = await check(image);
  const found = {
    code,
    errors: report?.['check-errors'],
    corruptions: report?.corruptions ?? 0,
    leaks: report?.leaks ?? 0,
    stderr,
  };
  const clean = { code: 0, errors: 0, corruptions: 0, leaks: 0, stderr: '' };
  expect(found, `qemu-img check ${image}`).toEqual(clean);
}

/** Expects the same of an image that becomes a file for it. Returns that file. */
export async function expectCleanBytes(bytes: Uint8Array): Promise<string> {
  const file = path.join(memoryDirectory(), 'image.qcow2');
  writeFileSync(file, bytes);
  await expectClean(file);
  return file;
}

/** Expects that two disks of one size hold the same, by `qemu-img compare` and its `options`. */
export async function expectIdentical(
  one: string,
  other: string,
  options: readonly string[] = [],
): Promise<void> {
  const args = ['compare', ...options, one, other];
  const { code, stdout, stderr } = await qemuImg(args, { okCodes: 'any' });
  const said = { code: 0, stdout: 'Images are identical.\n' };
  expect({ code, stdout }, `qemu-img ${args.join(' ')}: ${stderr}`).toEqual(said);
}

/** A snapshot as `qemu-img info --output=json` prints it. */
export interface QemuSnapshot {
  readonly id: string;
  readonly name: string;
  readonly 'vm-state-size': number;
  readonly 'date-sec': number;
  readonly 'date-nsec': number;
  readonly 'vm-clock-sec': number;
  readonly 'vm-clock-nsec': number;
  readonly icount?: number;
}

/** The snapshots of an image in table order, by `qemu-img info --output=json`. */
export async function snapshotList(image: string): Promise<readonly QemuSnapshot[]> {
  const { stdout } = await qemuImg(['info', '--output=json', '-f', 'qcow2', image]);
  return (JSON.parse(stdout) as { snapshots?: readonly QemuSnapshot[] }).snapshots ?? [];
}

/**
 * SHA-256 in hex of the whole guest content: of the active disk, or of the snapshot with this id.
 * A snapshot is applied on a copy, since `convert -l` exports a wrong size after a resize.
 */
export async function contentHash(image: string, snapshotId?: string): Promise<string> {
  const directory = mkdtempSync(path.join(tmpdir(), 'qsnap-hash-'));
  // Beside the original, so that a relative backing name still leads to the same file.
  const copy = path.join(path.dirname(image), `${path.basename(directory)}.qcow2`);
  try {
    if (snapshotId !== undefined) {
      copyFileSync(image, copy, constants.COPYFILE_FICLONE);
      await removeBitmaps(copy);
      await qemuImg(['snapshot', '-a', snapshotId, copy]);
    }
    const source = snapshotId === undefined ? image : copy;
    const raw = path.join(directory, 'content.raw');
    await qemuImg(['convert', '-f', 'qcow2', '-O', 'raw', source, raw]);
    return await fileHash(raw);
  } finally {
    rmSync(copy, { force: true });
    rmSync(directory, { recursive: true, force: true });
  }
}

/** QEMU applies no snapshot while there are bitmaps. */
async function removeBitmaps(image: string): Promise<void> {
  const { stdout } = await qemuImg(['info', '--output=json', '-f', 'qcow2', image]);
  interface Info {
    'format-specific'?: { data?: { bitmaps?: readonly { name: string }[] } };
  }
  const bitmaps = (JSON.parse(stdout) as Info)['format-specific']?.data?.bitmaps ?? [];
  for (const { name } of bitmaps) await qemuImg(['bitmap', '--remove', image, name]);
}

/** SHA-256 of a file's bytes, in hex. */
export async function fileHash(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file, { highWaterMark: 1024 * 1024 }), hash);
  return hash.digest('hex');
}
