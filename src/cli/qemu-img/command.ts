/** What a command of qsnap-img is to the program. */
import type { ArgvContext } from './grammar/argv.js';
import type { Run } from './run-command.js';

/**
 * Parses the arguments of one command; the first is its name.
 *
 * @returns undefined when help was asked for.
 * @throws Refusal for wrong usage, in QEMU's words.
 */
export type ParseCommand = (argv: readonly string[], context: ArgvContext) => Run | undefined;

/** The commands, each loaded when it is called. */
export const COMMANDS: Readonly<Record<string, () => Promise<ParseCommand>>> = {
  amend: async () => (await import('./amend/amend.js')).parseAmend,
  bench: async () => (await import('./bench.js')).parseBench,
  bitmap: async () => (await import('./bitmap/bitmap.js')).parseBitmap,
  compare: async () => (await import('./compare/compare.js')).parseCompare,
  convert: async () => (await import('./convert/convert.js')).parseConvert,
  dd: async () => (await import('./dd/dd.js')).parseDd,
  measure: async () => (await import('./measure.js')).parseMeasure,
  rebase: async () => (await import('./rebase.js')).parseRebase,
  commit: async () => (await import('./commit.js')).parseCommit,
  create: async () => (await import('./create/create.js')).parseCreate,
  resize: async () => (await import('./resize.js')).parseResize,
  check: async () => (await import('./check/check.js')).parseCheck,
  map: async () => (await import('./map/map.js')).parseMap,
  info: async () => (await import('./info/info.js')).parseInfo,
  snapshot: async () => (await import('./snapshot.js')).parseSnapshot,
};

/** Commands that look who else uses the images that they open. */
export const READING: ReadonlySet<string> = new Set([
  'bench',
  'check',
  'compare',
  'convert',
  'dd',
  'info',
  'map',
  'measure',
]);
