/** The command that shows what is stored. */
import { Argument, InvalidArgumentError, type Command } from 'commander';
import { parseOffset } from '../../text.js';
import type { DumpFlags, DumpWord, DumpWords } from '../commands/dump.js';
import { subcommand, type ContextFor, type Settle } from '../subcommand.js';

/** As `DUMP_PARTS` has them, whose module would be one more to load at each start. */
const PARTS = [
  ...['header', 'extensions', 'features', 'snapshots', 'l1', 'l2'],
  ...['refcounts', 'bitmaps', 'encryption', 'all'],
];

/** Adds `dump`. */
export function addDump(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(program, 'dump', 'Print every field as it is stored, with its place.')
    .argument('<image>', 'a qcow2 image, whatever is left of it; - for stdin')
    .addArgument(
      new Argument(
        '[part...]',
        `${PARTS.join(', ')}, or cluster N; without it the first four`,
      ).argParser(partsWith),
    )
    .option('-s, --snapshot <snapshot>', 'whose L1 and L2 tables are meant')
    .option('--every', 'each entry of a table in a line of its own')
    .option('--offset <offset>', 'where the image begins in the file: 0x100000, 1M', offsetOf)
    .option('--jsonl', 'print a JSON object for each line')
    .action(async (image: string, words: DumpWords, flags: DumpFlags, command: Command) => {
      const context = contextFor(command);
      if (flags.jsonl === true && context.json) {
        command.error("error: option '--jsonl' cannot be used with option '--json'");
      }
      const { dump } = await import('../commands/dump.js');
      if (words.at(-1) === 'cluster') command.error('error: cluster wants its number: cluster 5');
      settle(await dump(image, words, flags, context));
    });
}

/** The words before and one more: a part, `cluster`, or the number that follows it. @throws InvalidArgumentError. */
function partsWith(word: string, before: DumpWords = []): DumpWords {
  if (before.at(-1) === 'cluster') {
    if (/^\d{1,12}$/.test(word)) return [...before, Number(word)];
    throw new InvalidArgumentError('Write the number of a cluster behind the word.');
  }
  if (word === 'cluster' || PARTS.includes(word)) return [...before, word as DumpWord];
  throw new InvalidArgumentError(`Allowed choices are ${PARTS.join(', ')}, cluster.`);
}

/** @throws InvalidArgumentError for what is no offset. */
export function offsetOf(text: string): number {
  const offset = parseOffset(text);
  if (offset !== undefined) return offset;
  throw new InvalidArgumentError('Write an offset in bytes, such as 65536, 0x10000 or 64K.');
}
