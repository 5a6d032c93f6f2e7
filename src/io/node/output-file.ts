/** New files that get their name when they are complete, and not before. */
import { constants, promises, rmSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import path from 'node:path';
import { printableText } from '../../base/text.js';
import { QsnapError } from '../../errors.js';
import type { BlockDevice } from '../device.js';
import { refuseOthers } from './file.js';
import { openCalls } from './file-calls.js';
import { FileDevice } from './file-device.js';
import { lockForEdit } from './lock.js';
import { syncDirectory } from './new-file.js';
import { openFileForEdit } from './open.js';
import { openFailed, systemCodeOf, writeFailed } from './system-error.js';

/** How a new file is made. */
export interface OutputFileOptions {
  /** Replace a file of this name; without it there must be none. */
  readonly replace?: boolean;
  /** Permission bits, of which the umask takes its part (default 0o666). */
  readonly mode?: number;
  /** Files that the output must not be, by path: what is read. */
  readonly inputs?: readonly string[];
}

/** A file under a temporary name beside the one that it is to get. */
export interface OutputFile {
  readonly device: BlockDevice;
  /** Whether an earlier output was left half-written; it is gone now. */
  readonly leftoverRemoved: boolean;
  /** Gives the file its name, durably, in place of an older one. The device is flushed before. */
  commit(): Promise<void>;
  /** Removes the file. What has the name stays as it is. Nothing happens after `commit`. */
  discard(): Promise<void>;
  /** `discard` at once, for a process that has no time left. */
  discardNow(): void;
}

/**
 * Begins a new file that is to be called `file`. It is locked as an image that is written to, and
 * an older file of that name is locked until it is replaced.
 *
 * @throws QsnapError OUTPUT_EXISTS, OUTPUT_IS_INPUT; NOT_A_FILE for a device, a pipe or a
 *   directory; IMAGE_IN_USE where somebody has the older file or the temporary one open;
 *   OPEN_FAILED.
 */
export async function createOutputFile(
  file: string,
  options: OutputFileOptions = {},
): Promise<OutputFile> {
  const old = await oldFile(file, options);
  try {
    const target = old?.path ?? file;
    const partial = path.join(path.dirname(target), `.${path.basename(target)}.qsnap-partial`);
    const leftoverRemoved = await removeLeftover(partial);
    const device = await createPartial(partial, options.mode ?? 0o666);
    return new Output(device, { target, partial, leftoverRemoved, old: old?.device });
  } catch (error) {
    await old?.device.close();
    throw error instanceof QsnapError ? error : openFailed(file, error);
  }
}

interface OutputFacts {
  readonly target: string;
  readonly partial: string;
  readonly leftoverRemoved: boolean;
  /** The older file, held so that nobody else begins to use it. */
  readonly old: BlockDevice | undefined;
}

class Output implements OutputFile {
  readonly device: BlockDevice;
  readonly leftoverRemoved: boolean;
  readonly #facts: OutputFacts;
  #isOpen = true;

  constructor(device: BlockDevice, facts: OutputFacts) {
    this.device = device;
    this.leftoverRemoved = facts.leftoverRemoved;
    this.#facts = facts;
  }

  async commit(): Promise<void> {
    const { partial, target } = this.#facts;
    try {
      await promises.rename(partial, target);
      this.#isOpen = false;
      await syncDirectory(path.dirname(target));
    } catch (error) {
      throw writeFailed(target, `give the new file the name ${printableText(target)}`, error);
    }
    await this.#close();
  }

  async discard(): Promise<void> {
    if (!this.#isOpen) return;
    this.discardNow();
    await this.#close();
  }

  discardNow(): void {
    if (this.#isOpen) rmSync(this.#facts.partial, { force: true });
    this.#isOpen = false;
  }

  async #close(): Promise<void> {
    await this.device.close();
    await this.#facts.old?.close();
  }
}

/** The file that has the name now, where it may be replaced. */
async function oldFile(
  file: string,
  { replace, inputs }: OutputFileOptions,
): Promise<{ path: string; device: BlockDevice } | undefined> {
  const shown = printableText(file);
  const own = await statusOf(file);
  if (own === undefined && (await isDangling(file))) {
    const hint = 'remove the link, or name the file itself';
    throw new QsnapError('OUTPUT_EXISTS', `${shown} is a link to nothing`, { file, hint });
  }
  if (own === undefined) return undefined;
  for (const input of inputs ?? []) {
    const other = await statusOf(input);
    if (other?.dev !== own.dev || other.ino !== own.ino) continue;
    const message = `${shown} is read itself: it can't be the output too`;
    throw new QsnapError('OUTPUT_IS_INPUT', message, { file, hint: 'choose another name' });
  }
  refuseOthers(file, own);
  if (own.isBlockDevice()) {
    throw new QsnapError('NOT_A_FILE', `${shown} is a block device, not a file`, { file });
  }
  if (replace !== true) {
    const hint = 'choose another name, or replace the file with --force';
    throw new QsnapError('OUTPUT_EXISTS', `${shown} exists already`, { file, hint });
  }
  return { path: await promises.realpath(file), device: await openFileForEdit(file) };
}

async function statusOf(file: string): Promise<BigIntStats | undefined> {
  try {
    return await promises.stat(file, { bigint: true });
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return undefined;
    throw openFailed(file, error);
  }
}

async function isDangling(file: string): Promise<boolean> {
  try {
    return (await promises.lstat(file)).isSymbolicLink();
  } catch {
    return false;
  }
}

/** Removes what an output that was cut off left behind, unless that output still goes on. */
async function removeLeftover(partial: string): Promise<boolean> {
  let calls;
  try {
    calls = await openCalls(
      partial,
      constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK,
    );
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return false;
    throw openFailed(partial, error);
  }
  try {
    refuseOthers(partial, await calls.stat());
    await lockForEdit(calls.fd, partial);
    await promises.unlink(partial);
    return true;
  } finally {
    await calls.close();
  }
}

async function createPartial(partial: string, mode: number): Promise<BlockDevice> {
  const flags = constants.O_CREAT | constants.O_EXCL | constants.O_RDWR;
  const calls = await openCalls(partial, flags, mode & 0o666).catch((error: unknown) => {
    throw openFailed(partial, error);
  });
  try {
    const device = new FileDevice(partial, calls, { fixedBytes: undefined });
    await lockForEdit(calls.fd, partial);
    return device;
  } catch (error) {
    await calls.close();
    rmSync(partial, { force: true });
    throw error;
  }
}
