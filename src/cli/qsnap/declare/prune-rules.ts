/** The options that say which snapshots are to stay. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { parseAge } from '../../text.js';
import { collect } from '../subcommand.js';

/** Adds the rules of `prune` to a command. */
export function addPruneRules(command: Command): Command {
  command.addOption(numberOption('--keep-last <n>', 'keep the newest n'));
  const periods = { hourly: 'hours', daily: 'days', weekly: 'weeks', monthly: 'months' };
  for (const [name, of] of Object.entries(periods)) {
    command.addOption(numberOption(`--keep-${name} <n>`, `keep the newest of each of n ${of}`));
  }
  return command
    .addOption(
      new Option('--older-than <age>', 'delete only older ones: 12h, 30d, 8w, 1y').argParser(ageOf),
    )
    .option('--name <pattern>', 'delete only those with such a name: "auto-*"', collect)
    .option('--keep <pattern>', 'keep those with such a name', collect);
}

function numberOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser((text) => {
    if (/^\d{1,9}$/.test(text)) return Number(text);
    throw new InvalidArgumentError('Write a number.');
  });
}

function ageOf(text: string): number {
  // Of age 0 is every snapshot: a slip of the hand must not delete all.
  const seconds = parseAge(text);
  if (seconds !== undefined) return seconds;
  throw new InvalidArgumentError(
    'Write one or more hours, days, weeks or years: 12h, 30d, 8w, 1y.',
  );
}
