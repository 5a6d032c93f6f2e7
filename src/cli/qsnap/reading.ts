import { isQsnapError, openForReading, type BlockSource, type ReadableImage } from '../../index.js';
import { placeOfReadable, printableText, type ActivePlace } from '../../internal.js';
import { openFile } from '../../node/index.js';
import { EXIT_CODES, type ExitCode } from '../exit-codes.js';
import { startProgress, type Progress } from '../progress.js';
import { oneSafeLine } from '../text.js';
import { printJson, printWarning, type Context } from './context.js';
import { errorJson, reportFailure } from './report.js';
import { lacks, warnOfUnread } from './unread.js';

/** A file as `openFile` gives it. */
export type ReadSource = Awaited<ReturnType<typeof openFile>>;

export interface OpenSource {
  readonly path: string;
  readonly source: ReadSource;
  readonly progress: Progress;
}

export interface OpenedImage extends OpenSource {
  readonly image: ReadableImage;
}

/**
 * Opens an image as far as it can be read, warns of what can't, hands it to `use`, and closes it
 * whatever happens.
 */
export function withImage<T>(
  path: string,
  context: Context,
  use: (open: OpenedImage) => Promise<T>,
  opening = open(path, context),
): Promise<T> {
  const withIt = async (source: OpenSource): Promise<T> => {
    const image = await openForReading(source.source);
    warnOfUnread(path, image, context);
    return use({ ...source, image });
  };
  return withSource(path, context, withIt, opening);
}

function open(path: string, { forceShare }: Context): Promise<ReadSource> {
  return openFile(path, { forceShare });
}

/** Opens a file for reading, hands it to `use`, and closes it whatever happens. */
export async function withSource<T>(
  path: string,
  context: Context,
  use: (open: OpenSource) => Promise<T>,
  opening = open(path, context),
): Promise<T> {
  const progress = startProgress(context.io.stderr, !context.quiet);
  progress.phase(`reading ${path}`);
  try {
    const source = await opening;
    try {
      warnOfUnknownWriters(path, source, context);
      return await use({ path, source, progress });
    } finally {
      await source.close();
    }
  } finally {
    progress.stop();
  }
}

/** Where nobody can tell whether the image is being written to, the reader has to know. */
function warnOfUnknownWriters(path: string, source: ReadSource, context: Context): void {
  if (context.forceShare || source.lock.guarantee !== 'none') return;
  printWarning(
    context,
    `${printableText(path)}: whether another program writes to the image can't be told here; ` +
      'if one does, what is printed may be wrong',
  );
}

/** What is said of one image: an object for programs, or lines for people. */
export interface Told {
  readonly json: Record<string, unknown>;
  readonly lines: readonly string[];
  /** Whether all that was asked for could be read. */
  readonly isWhole: boolean;
}

/**
 * Tells of several images in their order. What is wrong with one, or can't be read of it, doesn't stop
 * the others; it makes the exit code 1 in the end.
 */
export async function tellOfImages(
  paths: readonly string[],
  context: Context,
  tell: (open: OpenedImage) => Promise<Told>,
): Promise<ExitCode> {
  const images: Record<string, unknown>[] = [];
  let code: ExitCode = EXIT_CODES.done.code;
  let printed = false;
  let next = paths[0] === undefined ? undefined : open(paths[0], context);
  for (const [index, path] of paths.entries()) {
    const opening = next;
    const after = paths[index + 1];
    // One is opened while the one before it is told of. What fails about it is told in its turn.
    next = after === undefined ? undefined : open(after, context);
    next?.catch(() => undefined);
    try {
      const { json, lines, isWhole } = await withImage(path, context, tell, opening);
      images.push({ filename: path, ...json });
      if (!isWhole) code = EXIT_CODES.notDone.code;
      if (!context.json && lines.length > 0) {
        context.io.stdout.write(`${printed ? '\n' : ''}${lines.join('\n')}\n`);
        printed = true;
      }
    } catch (error) {
      reportFailure(error, path, 'read', context);
      images.push({ filename: path, error: errorJson(error, 'read') });
      code = EXIT_CODES.notDone.code;
    }
  }
  if (context.json) printJson(context, { images });
  return code;
}

/** A list is to be there at once: it reads no more tables than these to find what the active disk grew from. */
const TABLES_MAX = 512;

/**
 * Where the active disk stands among the snapshots. Undefined where tables are too damaged to tell: what can be listed is
 * listed all the same.
 */
export async function placeOf(
  open: OpenedImage,
  context: Context,
): Promise<ActivePlace | undefined> {
  if (lacks(open.image, 'active L1')) return undefined;
  open.progress.phase(`comparing the snapshots of ${open.path} with the active disk`);
  try {
    return await placeOfReadable(open.image, TABLES_MAX);
  } catch (error) {
    if (!isQsnapError(error) || error.kind !== 'image') throw error;
    open.progress.stop();
    printWarning(
      context,
      `${printableText(open.path)}: can't tell which snapshot the active disk equals: ` +
        oneSafeLine(error.message),
    );
    return undefined;
  }
}

/** A file that doesn't begin as a qcow2 image does is a raw disk. */
export async function probedFormat(source: BlockSource): Promise<'raw' | 'qcow2'> {
  const magic = new Uint8Array(4);
  await source.readBatch([{ at: 0, into: magic }]);
  return [0x51, 0x46, 0x49, 0xfb].every((byte, i) => magic[i] === byte) ? 'qcow2' : 'raw';
}
