import type { CliStreams } from '../streams.js';
import { styleFor, type Style } from '../style.js';
import { jsonText } from '../text.js';

/** The options that every command takes. */
export interface GlobalOptions {
  readonly json?: boolean;
  readonly forceShare?: boolean;
  readonly color: boolean;
  readonly quiet?: boolean;
}

/** What a command works with besides its own arguments. */
export interface Context {
  readonly io: CliStreams;
  readonly json: boolean;
  readonly forceShare: boolean;
  readonly quiet: boolean;
  /** For stdout. */
  readonly style: Style;
  /** For stderr. */
  readonly errorStyle: Style;
}

export function contextOf(io: CliStreams, options: GlobalOptions): Context {
  return {
    io,
    json: options.json === true,
    forceShare: options.forceShare === true,
    quiet: options.quiet === true,
    style: styleFor(io.stdout, io, options.color),
    errorStyle: styleFor(io.stderr, io, options.color),
  };
}

export function printLines(context: Context, lines: readonly string[]): void {
  if (lines.length > 0) context.io.stdout.write(`${lines.join('\n')}\n`);
}

/** One JSON document on stdout. */
export function printJson(context: Context, document: unknown): void {
  context.io.stdout.write(jsonText(document));
}

/** A line on stderr that `--quiet` takes away. */
export function printWarning(context: Context, sentence: string): void {
  if (context.quiet) return;
  context.io.stderr.write(`${context.errorStyle.warning('warning:')} ${sentence}\n`);
}
