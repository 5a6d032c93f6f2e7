/** New files that get their name when they are complete, and not before. */
import { hinted } from '../../base/hints.js';
import { promises } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import path from 'node:path';
import { printableText } from '../../base/text.js';
import { QsnapError } from '../../errors.js';
import { outputIsInput } from '../../io/new-device.js';
import type { BlockDevice, BlockSource } from '../../io/device.js';
import { refuseOthers } from './file.js';
import { closeQuietly } from './file-calls.js';
import { fileIdentity, identityOf, identityOfName, removeOwnName } from './identity.js';
import { giveFreeName, giveName, syncName } from './naming.js';
import { openFileForEdit } from './open-for-edit.js';
import { createPartial, removeLeftover, type PartialFile } from './partial-file.js';
import { openFailed, systemCodeOf, writeFailed } from './system-error.js';

/** A file that is read: a path, or an open file, which stays the same whatever its name leads to. */
export type InputFile = string | Pick<BlockSource, 'identity'>;

/** How a new file is made. */
export interface OutputFileOptions {
  /** Replace a file of this name; without it there must be none, up to the moment of `commit`. */
  readonly replace?: boolean;
  /** Permission bits, of which the umask takes its part (default 0o666). */
  readonly mode?: number;
  /** Files that the output must not be: what is read. */
  readonly inputs?: readonly InputFile[];
}

/** A file under a temporary name beside the one that it is to get. */
export interface OutputFile {
  readonly device: BlockDevice;
  /** Whether an earlier output was left half-written; it is gone now. */
  readonly leftoverRemoved: boolean;
  /**
   * Gives the file its name and closes it. The device is flushed before.
   *
   * Without `replace` no file is replaced, not even one that was made meanwhile: see `giveFreeName`. On a file system
   * without hard links a power cut can leave an empty file with the name. With `replace` the file takes the name in one
   * step.
   *
   * Then the name is made durable as far as the system allows: see `syncName`.
   *
   * @throws QsnapError OUTPUT_EXISTS where something got the name meanwhile; IMAGE_IN_USE where somebody
   *   uses a file that got it meanwhile and that is to be replaced; WRITE_FAILED. The file still is to be
   *   discarded then. After a WRITE_FAILED that says that the file has its name, only whether the name
   *   outlasts a power cut is not known; nothing is left to discard.
   */
  commit(): Promise<void>;
  /**
   * Removes the file. What has the name stays as it is. Nothing happens after `commit`. What can't be
   * removed stays for the next output of this name to remove.
   */
  discard(): Promise<void>;
  /** `discard` at once, for a process that has no time left. */
  discardNow(): void;
}

/**
 * Begins a new file that is to be called `file`. It is locked as an image that is written to, and
 * an older file of that name is locked until it is replaced.
 *
 * ```ts
 * const output = await createOutputFile('golden.raw', { replace: true });
 * try {
 *   const writer = await newRawWriter(output.device, disk.sizeBytes);
 *   await copyDisk(disk.guest, writer);
 *   await writer.finish();
 *   await output.commit(); // the file gets its name
 * } finally {
 *   await output.discard(); // does nothing after `commit`
 * }
 * ```
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
    const partial = partialNameOf(target);
    const leftoverRemoved = await removeLeftover(partial);
    const made = await createPartial(partial, options.mode ?? 0o666);
    const replace = options.replace === true;
    return new Output({ ...made, target, partial, leftoverRemoved, replace, old });
  } catch (error) {
    await closeQuietly(old?.device);
    throw error instanceof QsnapError ? error : openFailed(file, error);
  }
}

/** The temporary name of a file while it is written. */
export function partialNameOf(target: string): string {
  return path.join(path.dirname(target), `.${path.basename(target)}.qsnap-partial`);
}

/** A file that is there already, held so that nobody else begins to use it. */
interface OldFile {
  readonly path: string;
  readonly device: BlockDevice;
  readonly identity: string;
}

interface OutputFacts extends PartialFile {
  readonly target: string;
  readonly partial: string;
  readonly leftoverRemoved: boolean;
  readonly replace: boolean;
  readonly old: OldFile | undefined;
}

class Output implements OutputFile {
  readonly device: BlockDevice;
  readonly leftoverRemoved: boolean;
  readonly #facts: OutputFacts;
  #isOpen = true;

  constructor(facts: OutputFacts) {
    this.device = facts.device;
    this.leftoverRemoved = facts.leftoverRemoved;
    this.#facts = facts;
  }

  async commit(): Promise<void> {
    const { target, calls } = this.#facts;
    const shown = printableText(target);
    try {
      await this.#giveName();
    } catch (error) {
      throw writeFailed(target, `give the new file the name ${shown}`, error);
    }
    this.#isOpen = false;
    try {
      await syncName(target, calls);
    } catch (error) {
      throw writeFailed(
        target,
        `bring the name ${shown}, which the file has, to the medium`,
        error,
      );
    } finally {
      await this.#close();
    }
  }

  async discard(): Promise<void> {
    if (!this.#isOpen) return;
    this.discardNow();
    await this.#close();
  }

  discardNow(): void {
    if (this.#isOpen) removeOwnName(this.#facts.partial, this.#facts.identity);
    this.#isOpen = false;
  }

  async #giveName(): Promise<void> {
    const { partial, target, identity, replace } = this.#facts;
    if (identityOfName(partial) !== identity) {
      throw new Error(`${printableText(partial)} is not the file any more that was made`);
    }
    if (!replace) {
      await giveFreeName(partial, target, identity);
      return;
    }
    const newer = await this.#newerFile();
    try {
      await giveName(partial, target);
    } finally {
      await closeQuietly(newer);
    }
  }

  /** What got the name since the file was begun, held as the older one is. */
  async #newerFile(): Promise<BlockDevice | undefined> {
    const { target, old } = this.#facts;
    const now = await fileIdentity(target);
    return now === undefined || now === old?.identity ? undefined : openFileForEdit(target);
  }

  async #close(): Promise<void> {
    await closeQuietly(this.device);
    await closeQuietly(this.#facts.old?.device);
  }
}

/** The file that has the name now, where it may be replaced. */
async function oldFile(
  file: string,
  { replace, inputs }: OutputFileOptions,
): Promise<OldFile | undefined> {
  const shown = printableText(file);
  const own = await statusOf(file);
  if (own === undefined && (await isDangling(file))) {
    const hint = 'remove the link, or name the file itself';
    throw new QsnapError('OUTPUT_EXISTS', `${shown} is a link to nothing`, { file, hint });
  }
  if (own === undefined) return undefined;
  await refuseInput(file, identityOf(own), inputs);
  refuseOthers(file, own);
  if (own.isBlockDevice()) {
    throw new QsnapError('NOT_A_FILE', `${shown} is a block device, not a file`, { file });
  }
  if (replace !== true) {
    throw new QsnapError('OUTPUT_EXISTS', `${shown} exists already`, {
      file,
      ...hinted('replace-file'),
    });
  }
  const real = await promises.realpath(file).catch((error: unknown) => {
    throw openFailed(file, error);
  });
  const device = await openFileForEdit(file);
  try {
    const identity = await device.identity();
    await refuseInput(file, identity, inputs);
    return { path: real, device, identity };
  } catch (error) {
    await closeQuietly(device);
    throw error;
  }
}

/** @throws QsnapError OUTPUT_IS_INPUT where the file is one of those that are read. */
async function refuseInput(
  file: string,
  identity: string,
  inputs: readonly InputFile[] = [],
): Promise<void> {
  for (const input of inputs) {
    const other = typeof input === 'string' ? await pathIdentity(input) : await input.identity?.();
    if (other === identity) throw outputIsInput(file);
  }
}

async function pathIdentity(file: string): Promise<string | undefined> {
  const stats = await statusOf(file);
  return stats && identityOf(stats);
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
