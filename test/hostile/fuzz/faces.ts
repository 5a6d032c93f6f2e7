/** Both command lines on a hostile file: what they print must be safe for a terminal. */
import { mkdtempSync, openSync, closeSync, ftruncateSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NEWEST } from '../../../src/cli/qemu-img/version/behaviour.js';
import { run as runQemuImg } from '../../../src/cli/qemu-img/run.js';
import { run as runQsnap } from '../../../src/cli/qsnap/run.js';
import type { Image, Snapshot } from '../../../src/index.js';
import { pick, type Random } from '../../support/mutate.js';
import type { Meter } from './meter.js';
import type { Specimen } from './specimen.js';
import { uninterrupted } from '../../../src/cli/interruption.js';

/** Commands that pass over a whole disk are run where it claims to be no larger. */
const PASSED_OVER_BYTES = 2 ** 25;

/** A folder with one file that is written anew for each specimen. */
export class Faces {
  readonly #folder = mkdtempSync(join(tmpdir(), 'qsnap-fuzz-'));

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /**
   * Runs the commands that read, and the others without what makes them write.
   *
   * @param some how many of them; undefined: all.
   */
  async run(
    specimen: Specimen,
    image: Image | undefined,
    meter: Meter,
    some?: { readonly count: number; readonly random: Random },
  ): Promise<void> {
    const path = join(this.#folder, 'image.qcow2');
    const copy = join(this.#folder, 'copy');
    writeSpecimen(path, specimen);
    const all = [
      ...qsnapCommands(path, image?.snapshots[0]).map((words) => ({ face: 'qsnap', words })),
      ...qemuImgCommands(path).map((words) => ({ face: 'qsnap-img', words })),
    ];
    if (image !== undefined && image.header.diskSizeBytes <= PASSED_OVER_BYTES) {
      all.push(...qsnapCopies(path, copy).map((words) => ({ face: 'qsnap', words })));
      all.push(...qemuImgCopies(path, copy).map((words) => ({ face: 'qsnap-img', words })));
      // These pass over the disks of all snapshots.
      if (image.snapshots.every(({ diskSizeBytes }) => diskSizeBytes <= PASSED_OVER_BYTES)) {
        all.push(...qsnapHashes(path).map((words) => ({ face: 'qsnap', words })));
      }
    }
    const chosen = some && Array.from({ length: some.count }, () => pick(some.random, all));
    for (const { face, words } of chosen ?? all) {
      const name = `${face} ${words.join(' ').replaceAll(path, 'FILE').replace(copy, 'COPY')}`;
      rmSync(copy, { force: true });
      const ran = await meter.use(name, () => (face === 'qsnap' ? qsnap(words) : qemuImg(words)));
      if (ran === undefined) continue;
      judgeTerminal(name, ran, meter);
      if (face === 'qsnap') judgeQsnap(words, ran, image?.snapshots.length, meter);
    }
  }
}

/** A sparse file where the specimen has a hole. */
export function writeSpecimen(path: string, { bytes, sizeBytes }: Specimen): void {
  const file = openSync(path, 'w');
  for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done);
  try {
    ftruncateSync(file, sizeBytes);
  } catch {
    // No file system takes every length: the file then is shorter, and as hostile.
  }
  closeSync(file);
}

function qsnapCommands(
  path: string,
  snapshot: Snapshot | undefined,
): readonly (readonly string[])[] {
  const commands = [
    ['info', path],
    ['info', '--json', path],
    ['list', path],
    ['list', '--json', path],
    ['check', path],
    ['check', '--json', path],
    ['create', '--dry-run', path, 'x'],
    ['repair', '--plan', path],
    ['dump', path],
    ['dump', '--json', '--every', path],
    ['locate', '--host', '0x10000', path],
    ['locate', '--json', '--guest', '0', '--all', path],
    ['timeline', path],
    ['timeline', '--json', path],
    ['scan', '--min', '0', path],
    ['scan', '--json', path],
  ];
  if (snapshot !== undefined) {
    const id = `id:${Buffer.from(snapshot.idBytes).toString('utf8')}`;
    commands.push(['show', path, id], ['show', '--json', path, id], ['show', path, 'no such']);
    commands.push(['delete', '--dry-run', path, id], ['rename', '--dry-run', path, id, 'x']);
    commands.push(['apply', '--dry-run', path, id], ['map', path, id]);
    commands.push(['vmstate', path, id], ['vmstate', '--json', path, id]);
    commands.push(['vmstate', path, id, 'regs'], ['vmstate', '--text', path, id, 'screen']);
  }
  return commands;
}

function qemuImgCommands(path: string): readonly (readonly string[])[] {
  return [
    ['info', path],
    ['snapshot', '-l', path],
    ['check', path],
    ['check', '--output=json', path],
    ['info', '--output=json', path],
  ];
}

/** What passes over guest data: it takes time in proportion to the disk. */
function qsnapCopies(path: string, copy: string): readonly (readonly string[])[] {
  return [
    ['map', '--json', path],
    ['compare', path, path],
    ['export', path, '-o', copy],
    ['export', path, '-o', copy, '--format', 'qcow2', '--compress'],
    ['dehydrate', path, '-o', copy],
    ['recover', path, '--candidate', '1', '--into', copy],
  ];
}

function qsnapHashes(path: string): readonly (readonly string[])[] {
  return [
    ['hash', path],
    ['hash', '--json', '--piecewise', '64K', path],
  ];
}

function qemuImgCopies(path: string, copy: string): readonly (readonly string[])[] {
  return [
    ['map', path],
    ['map', '--output=json', path],
    ['measure', '-O', 'qcow2', path],
    ['compare', '-s', path, path],
    ['convert', '-O', 'raw', path, copy],
    ['convert', '-c', '-O', 'qcow2', path, copy],
  ];
}

interface Printed {
  readonly stdout: string;
  readonly stderr: string;
}

function recorder(isTerminal: boolean) {
  const parts: Buffer[] = [];
  return {
    isTerminal,
    write: (text: string | Uint8Array) => {
      parts.push(Buffer.from(text as Uint8Array));
    },
    text: () => Buffer.concat(parts).toString('utf8'),
  };
}

async function qsnap(argv: readonly string[]): Promise<Printed> {
  const [stdout, stderr] = [recorder(false), recorder(false)];
  const now = (): Date => new Date(1_700_000_000_000);
  await runQsnap(argv, {
    stdout,
    stderr,
    env: {},
    now,
    interruptible: uninterrupted,
    argumentsAreExact: () => true,
  });
  return { stdout: stdout.text(), stderr: stderr.text() };
}

async function qemuImg(argv: readonly string[]): Promise<Printed> {
  const [stdout, stderr] = [recorder(true), recorder(true)];
  const now = () => ({ seconds: 1_700_000_000, nanoseconds: 0 });
  await runQemuImg(argv, {
    program: 'qsnap-img',
    installedVersion: () => Promise.resolve(NEWEST),
    stdout,
    stderr,
    env: {},
    now,
    interruptible: uninterrupted,
  });
  return { stdout: stdout.text(), stderr: stderr.text() };
}

const RAW_BUT_LINES = /[^\P{Cc}\n]|[\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;

function judgeQsnap(
  words: readonly string[],
  { stdout, stderr }: Printed,
  snapshots: number | undefined,
  meter: Meter,
): void {
  const name = words[0]!;
  if (stderr.includes('did not foresee')) meter.fault(name, stderr);
  if (words.includes('--json') && stdout !== '') JSON.parse(stdout);
  // A name with a line break must not make a row of its own.
  const rows = stdout.split('\n').length - 1;
  if (name === 'list' && words.length === 2 && snapshots !== undefined && snapshots > 0) {
    // A heading, and a line about the mark of what the active disk equals or grew from.
    const wanted = /^(?:\* equals|✓ the active disk) /m.test(stdout)
      ? snapshots + 2
      : snapshots + 1;
    // Entries from one on that was misread are not listed.
    if (stdout !== '' && rows > wanted) meter.fault(name, `${rows} rows of ${snapshots}`);
  }
}

/** qsnap-img prints bytes, as qemu-img does; a terminal gets none that it obeys. */
function judgeTerminal(name: string, { stdout, stderr }: Printed, meter: Meter): void {
  for (const text of [stdout, stderr]) judgePrinted(name, text, meter);
}

function judgePrinted(name: string, text: string, meter: Meter): void {
  const raw = RAW_BUT_LINES.exec(text);
  if (raw === null) return;
  const around = text.slice(Math.max(0, raw.index - 30), raw.index + 30);
  meter.fault(name, `prints raw ${JSON.stringify(around)}`);
}
