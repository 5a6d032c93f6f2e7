import {
  compareDisks,
  isQsnapError,
  openGuestDisk,
  openForReading,
  rawDisk,
  type CompareReport,
  type GuestDisk,
  type GuestDiskOptions,
  type ReadableImage,
} from '../../../index.js';
import { equalBytes } from '../../../node/index.js';
import { COMPARE_EXIT_CODES, type ExitCode } from '../../exit-codes.js';
import { printJson, printLines, type Context } from '../context.js';
import { backingHint, guestOptions, type GuestFlags } from '../guest-options.js';
import { comparisonJson } from '../present/compare-json.js';
import type { ComparedSide } from '../present/compared-side.js';
import { comparisonLines } from '../present/compare-text.js';
import { probedFormat, withSource, type OpenSource } from '../reading.js';
import { errorJson, reportFailure } from '../report.js';
import { selectSnapshot } from '../selection.js';
import { warnOfUnread } from '../unread.js';

/** Flags of `compare`. */
export interface CompareFlags extends GuestFlags {
  readonly snapshot?: string;
  readonly withSnapshot?: string;
  readonly format?: 'raw' | 'qcow2';
  readonly withFormat?: 'raw' | 'qcow2';
  readonly maxRanges: number;
}

interface OpenSide extends ComparedSide {
  readonly disk: GuestDisk;
}

/** `qsnap compare IMAGE [OTHER]` */
export function compare(
  path: string,
  otherPath: string | undefined,
  flags: CompareFlags,
  context: Context,
): Promise<ExitCode> {
  return context.io.interruptible(async (signal) => {
    try {
      const report = await withSource(path, context, async (open) => {
        const reading = guestOptions(flags, context);
        const request = { flags, reading, signal, context };
        if (otherPath === undefined) return compareWithin(open, request);
        return withSource(otherPath, context, (other) => compareFiles(open, other, request));
      });
      return report.same ? COMPARE_EXIT_CODES.same.code : COMPARE_EXIT_CODES.different.code;
    } catch (error) {
      const hinted = withHint(error);
      reportFailure(
        hinted,
        isQsnapError(hinted) ? (hinted.details.file ?? path) : path,
        'read',
        context,
      );
      if (context.json) printJson(context, { error: errorJson(hinted, 'read') });
      return COMPARE_EXIT_CODES.notCompared.code;
    }
  });
}

/** What both sides are opened and compared with. */
interface Request {
  readonly flags: CompareFlags;
  readonly reading: GuestDiskOptions;
  readonly signal: AbortSignal;
  readonly context: Context;
}

function withHint(error: unknown): unknown {
  if (!isQsnapError(error) || error.code !== 'BACKING_REFUSED') return error;
  return error.with({ hint: backingHint(error.details.file ?? '') });
}

/** Two disks of one image. */
async function compareWithin(open: OpenSource, request: Request): Promise<CompareReport> {
  const { flags, reading } = request;
  const image = await openForReading(open.source);
  warnOfUnread(open.path, image, request.context);
  const side = (selector: string | undefined) => openSide(open.path, image, selector, reading);
  const sides = [() => side(flags.snapshot), () => side(flags.withSnapshot)] as const;
  return compareOpened(sides, true, open, request);
}

async function compareFiles(
  open: OpenSource,
  other: OpenSource,
  request: Request,
): Promise<CompareReport> {
  const { flags } = request;
  const sides = [
    () => openFileSide(open, flags.format, flags.snapshot, request),
    () => openFileSide(other, flags.withFormat, flags.withSnapshot, request),
  ] as const;
  return compareOpened(sides, false, open, request);
}

/** Opens both sides, compares them, and closes them whatever happens. */
async function compareOpened(
  [openA, openB]: readonly [() => Promise<OpenSide>, () => Promise<OpenSide>],
  sameImage: boolean,
  open: OpenSource,
  request: Request,
): Promise<CompareReport> {
  const a = await openA();
  try {
    const b = await openB();
    try {
      return await compareSides(a, b, sameImage, open, request);
    } finally {
      await b.disk.close();
    }
  } finally {
    await a.disk.close();
  }
}

async function openFileSide(
  { path, source }: OpenSource,
  format: 'raw' | 'qcow2' | undefined,
  selector: string | undefined,
  { reading, context }: Request,
): Promise<OpenSide> {
  // A snapshot is only in a qcow2 image: what is none is then refused by name.
  const isRaw =
    (format ?? (selector === undefined ? await probedFormat(source) : 'qcow2')) === 'raw';
  if (!isRaw) {
    try {
      const image = await openForReading(source);
      warnOfUnread(path, image, context);
      return await openSide(path, image, selector, reading);
    } catch (error) {
      throw isQsnapError(error) ? error.with({ file: path }) : error;
    }
  }
  return {
    path,
    format: 'raw',
    image: undefined,
    snapshot: undefined,
    disk: await rawDisk(source),
  };
}

async function openSide(
  path: string,
  image: ReadableImage,
  selector: string | undefined,
  reading: GuestDiskOptions,
): Promise<OpenSide> {
  const snapshot = selector === undefined ? undefined : selectSnapshot(image, selector);
  const disk = await openGuestDisk(image, { ...reading, snapshot });
  return { path, format: 'qcow2', image, snapshot, disk };
}

async function compareSides(
  a: OpenSide,
  b: OpenSide,
  sameImage: boolean,
  { progress }: OpenSource,
  { flags, signal, context }: Request,
): Promise<CompareReport> {
  progress.phase(`comparing ${a.path} with ${b.path}`);
  const report = await compareDisks(a.disk, b.disk, {
    sameImage,
    maxRanges: flags.maxRanges,
    isEqual: equalBytes,
    onProgress: progress.update,
    signal,
  });
  progress.stop();
  if (context.json) printJson(context, comparisonJson(a, b, report));
  else if (!context.quiet) printLines(context, comparisonLines(a, b, report));
  return report;
}
