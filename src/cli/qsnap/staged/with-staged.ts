import { open, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isQsnapError, QsnapError } from '../../../index.js';
import { printableText } from '../../../internal.js';
import { EXIT_CODES, type ExitCode } from '../../exit-codes.js';
import { oneSafeLine } from '../../text.js';
import { printJson, printWarning, type Context } from '../context.js';
import { errorJson } from '../report.js';
import { readBlobs, type Blob } from './blobs.js';
import type { GitPlace } from './git.js';
import { findLfsFile, lfsPlaces } from './lfs-file.js';
import { LFS_POINTER_BYTES_MAX, parseLfsPointer } from './lfs-pointer.js';
import { stagedFiles, type StagedFile } from './staged-files.js';

/** An image of the index: the file that has its bytes, or why there is none. */
export type StagedImage =
  | { readonly path: string; readonly file: string }
  | { readonly path: string; readonly error: QsnapError };

/** How a qcow2 image begins. */
const MAGIC = Buffer.from('QFI\xfb', 'latin1');

/**
 * Hands over the images that git has staged, by their first bytes and whatever they are called. Their bytes are those of
 * the index, in a folder that is gone afterwards: what the working tree has may be different.
 */
export async function withStaged(
  context: Context,
  use: (images: readonly StagedImage[], signal: AbortSignal) => Promise<ExitCode>,
): Promise<ExitCode> {
  try {
    return await context.io.interruptible(async (signal) => {
      const folder = await mkdtemp(join(tmpdir(), 'qsnap-staged-'));
      try {
        const images = await takeOut(folder, { env: context.io.env, signal }, context);
        return await use(images, signal);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    });
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    const prefix = context.errorStyle.error('qsnap:');
    context.io.stderr.write(`${prefix} ${oneSafeLine(error.message)}\n`);
    if (context.json) printJson(context, { error: errorJson(error, 'read') });
    return EXIT_CODES.notDone.code;
  }
}

async function takeOut(
  folder: string,
  place: GitPlace,
  context: Context,
): Promise<readonly StagedImage[]> {
  const places = await lfsPlaces(place);
  const images: StagedImage[] = [];
  await readBlobs(await stagedFiles(place), place, async (staged, blob) => {
    const head = await blob.read(LFS_POINTER_BYTES_MAX);
    if (head.subarray(0, MAGIC.length).equals(MAGIC)) {
      const file = join(folder, String(images.length));
      await writeOut(file, head, blob);
      images.push({ path: staged.path, file });
      return;
    }
    const image = await imageOfPointer(staged, head, places);
    if (image === undefined) return;
    images.push(image);
    if ('file' in image) {
      const name = printableText(staged.path);
      printWarning(context, `${name}: what is staged is a Git LFS pointer; its file is audited`);
    }
  });
  return images;
}

async function writeOut(file: string, head: Buffer, blob: Blob): Promise<void> {
  const out = await open(file, 'wx', 0o600);
  try {
    await out.writeFile(head);
    for await (const piece of blob.rest()) await out.writeFile(piece);
  } finally {
    await out.close();
  }
}

/** The image that a pointer stands for; undefined where it is no pointer, or one to something else. */
async function imageOfPointer(
  { path }: StagedFile,
  head: Buffer,
  places: Awaited<ReturnType<typeof lfsPlaces>>,
): Promise<StagedImage | undefined> {
  const pointer = parseLfsPointer(head);
  if (pointer === undefined) return undefined;
  const found = await findLfsFile(pointer, path, places);
  if (found === undefined) {
    const message =
      'what is staged is a Git LFS pointer, and no file here has the bytes that it stands for: it can not be audited';
    return { path, error: new QsnapError('OPEN_FAILED', message, { file: path }) };
  }
  return found.head.equals(MAGIC) ? { path, file: found.file } : undefined;
}
