import {
  DUMP_PARTS,
  dumpImage,
  openForDump,
  type DumpableImage,
  type DumpedField,
  type DumpOptions,
  type DumpPart,
} from '../../../index.js';
import { printableText, tailOf } from '../../../internal.js';
import { shownLocation } from '../../remote/location.js';
import { EXIT_CODES, type ExitCode } from '../../exit-codes.js';
import { countText, jsonText } from '../../text.js';
import { printJson, printWarning, type Context } from '../context.js';
import { dumpedJson } from '../present/dump-json.js';
import { DumpText } from '../present/dump-text.js';
import { openNamed, withSource, type OpenSource } from '../reading.js';
import { errorJson, reportFailure } from '../report.js';
import { selectSnapshot } from '../selection.js';
import { withStdinCopy } from '../stdin-copy.js';
import { StreamedJson } from '../streamed-json.js';

/** A part, as it is written on the command line. */
export type DumpWord = DumpPart | 'all' | 'cluster';

/** Words, and the number of a cluster behind each `cluster`. */
export type DumpWords = readonly (DumpWord | number)[];

/** Flags of `dump`. */
export interface DumpFlags {
  readonly snapshot?: string;
  readonly every?: boolean;
  readonly offset?: number;
  readonly jsonl?: boolean;
}

const USUAL: readonly DumpPart[] = ['header', 'extensions', 'features', 'snapshots'];

/** `qsnap dump IMAGE [PART…]` */
export async function dump(
  location: string,
  words: DumpWords,
  flags: DumpFlags,
  context: Context,
): Promise<ExitCode> {
  const printer = printerFor(flags, context);
  try {
    const marked = await withEvidence(location, context, async (open, signal) => {
      const source = flags.offset === undefined ? open.source : tailOf(open.source, flags.offset);
      const image = await openForDump(source);
      const options = optionsOf(image, words, flags);
      open.progress.stop();
      printer.begin(open.path, image);
      let count = 0;
      for await (const fields of dumpImage(image, { ...options, signal })) {
        count += fields.filter(({ problem }) => problem !== undefined).length;
        printer.fields(fields);
      }
      return count;
    });
    printer.end();
    if (marked === 0) return EXIT_CODES.done.code;
    const text = `${countText(marked, 'value')} of what was printed can't be right`;
    printWarning(context, `${printableText(shownLocation(location))}: ${text}`);
    return EXIT_CODES.notDone.code;
  } catch (error) {
    reportFailure(error, location, 'read', context);
    printer.fail(errorJson(error, 'read'));
    return EXIT_CODES.notDone.code;
  }
}

/** Opens what is named, or what comes on stdin. */
function withEvidence<T>(
  location: string,
  context: Context,
  use: (open: OpenSource, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  if (location === '-') {
    return withStdinCopy(context, (copy, signal) =>
      withSource('-', context, (open) => use(open, signal), openNamed(copy, context)),
    );
  }
  return context.io.interruptible((signal) =>
    withSource(location, context, (open) => use(open, signal)),
  );
}

function optionsOf(
  { snapshots }: DumpableImage,
  words: DumpWords,
  { snapshot, every }: DumpFlags,
): DumpOptions {
  const isAll = words.includes('all');
  const named = DUMP_PARTS.filter((part) => isAll || words.includes(part));
  const disk = isAll ? 'all' : 'active';
  const clusters = words.filter((word) => typeof word === 'number');
  return {
    parts: named.length === 0 && clusters.length === 0 ? USUAL : named,
    clusters,
    disk: snapshot === undefined ? disk : selectSnapshot({ snapshots }, snapshot).index,
    every: every === true,
  };
}

/** Dumps can be longer than memory: they are printed as they come. */
interface Printer {
  readonly begin: (path: string, image: DumpableImage) => void;
  readonly fields: (fields: readonly DumpedField[]) => void;
  readonly end: () => void;
  /** Instead of `end`, or of everything. */
  readonly fail: (error: Record<string, unknown>) => void;
}

function printerFor({ jsonl, offset }: DumpFlags, context: Context): Printer {
  if (jsonl === true) return linesPrinter(context);
  return context.json ? jsonPrinter(context, offset) : textPrinter(context);
}

function textPrinter({ io, style }: Context): Printer {
  const text = new DumpText(style);
  return {
    begin: () => undefined,
    fields: (fields) => {
      io.stdout.write(text.linesOf(fields).join(''));
    },
    end: () => undefined,
    fail: () => undefined,
  };
}

/** docs/schema/dump.json, `field`. */
function linesPrinter({ io }: Context): Printer {
  return {
    begin: () => undefined,
    fields: (fields) => {
      io.stdout.write(fields.map((one) => jsonText(dumpedJson(one), 0)).join(''));
    },
    end: () => undefined,
    fail: (error) => {
      io.stdout.write(jsonText({ error }, 0));
    },
  };
}

/** docs/schema/dump.json. */
function jsonPrinter(context: Context, offset: number | undefined): Printer {
  const document = new StreamedJson(context.io.stdout);
  let hasBegun = false;
  return {
    begin: (filename, { fileSizeBytes }) => {
      hasBegun = true;
      const place = offset === undefined ? {} : { offset };
      document.begin({ filename, ...place, 'file-size': fileSizeBytes }, 'fields');
    },
    fields: (fields) => {
      document.items(fields.map(dumpedJson));
    },
    end: () => {
      document.end();
    },
    fail: (error) => {
      if (hasBegun) document.end({ error });
      else printJson(context, { error });
    },
  };
}
