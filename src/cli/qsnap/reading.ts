import { isQsnapError, openForReading, type BlockSource, type ReadableImage } from '../../index.js';
import { placeOfReadable, printableText, type ActivePlace } from '../../internal.js';
import { EXIT_CODES, type ExitCode } from '../exit-codes.js';
import { startProgress, type Progress } from '../progress.js';
import { shownLocation } from '../remote/location.js';
import { openSource, type OpenedSource } from '../remote/open-source.js';
import { oneSafeLine } from '../text.js';
import { printJson, printLines, printWarning, type Context } from './context.js';
import { errorJson, reportFailure } from './report.js';
import { lacks, warnOfUnread } from './unread.js';

export interface OpenSource {
  /** Of a file; for people and programs to read, of an address on a server. */
  readonly path: string;
  readonly source: OpenedSource;
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
  location: string,
  context: Context,
  use: (open: OpenedImage) => Promise<T>,
  opening = openNamed(location, context),
): Promise<T> {
  const withIt = async (source: OpenSource): Promise<T> => {
    const image = await openForReading(source.source);
    warnOfUnread(source.path, image, context);
    return use({ ...source, image });
  };
  return withSource(location, context, withIt, opening);
}

/**
 * Opens what a word on the command line names.
 *
 * @throws QsnapError as `openSource`.
 */
export function openNamed(location: string, { forceShare }: Context): Promise<OpenedSource> {
  return openSource(location, { forceShare });
}

/** Opens a file, or one on a server, for reading, hands it to `use`, and closes it whatever happens. */
export async function withSource<T>(
  location: string,
  context: Context,
  use: (open: OpenSource) => Promise<T>,
  opening = openNamed(location, context),
): Promise<T> {
  const path = shownLocation(location);
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
function warnOfUnknownWriters(path: string, { lock }: OpenedSource, context: Context): void {
  // On a server there are no locks: that another version came is seen as it is read.
  if (context.forceShare || lock?.guarantee !== 'none') return;
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

/** Tells of one image, or why it can't be told. */
export async function tellOfImage(
  path: string,
  context: Context,
  tell: () => Promise<Told>,
): Promise<ExitCode> {
  try {
    const told = await tell();
    if (context.json) printJson(context, told.json);
    else printLines(context, told.lines);
    return told.isWhole ? EXIT_CODES.done.code : EXIT_CODES.notDone.code;
  } catch (error) {
    reportFailure(error, path, 'read', context);
    if (context.json) printJson(context, { error: errorJson(error, 'read') });
    return EXIT_CODES.notDone.code;
  }
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
  let next = paths[0] === undefined ? undefined : openNamed(paths[0], context);
  for (const [index, path] of paths.entries()) {
    const opening = next;
    const after = paths[index + 1];
    // One is opened while the one before it is told of. What fails about it is told in its turn.
    next = after === undefined ? undefined : openNamed(after, context);
    next?.catch(() => undefined);
    try {
      const { json, lines, isWhole } = await withImage(path, context, tell, opening);
      images.push({ filename: shownLocation(path), ...json });
      if (!isWhole) code = EXIT_CODES.notDone.code;
      if (!context.json && lines.length > 0) {
        context.io.stdout.write(`${printed ? '\n' : ''}${lines.join('\n')}\n`);
        printed = true;
      }
    } catch (error) {
      reportFailure(error, path, 'read', context);
      images.push({ filename: shownLocation(path), error: errorJson(error, 'read') });
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
