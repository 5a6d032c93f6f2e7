/** The options that say which snapshots are to stay. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { parseAge } from '../../text.js';
import { collect } from '../subcommand.js';

/** Adds the rules of `prune` to a command. */
export function addPruneRules(command: Command): Command {
  return command
    .addOption(numberOption('--keep-last <n>', 'keep the newest n'))
    .addOption(numberOption('--keep-hourly <n>', 'keep the newest of each of n hours'))
    .addOption(numberOption('--keep-daily <n>', 'keep the newest of each of n days'))
    .addOption(numberOption('--keep-weekly <n>', 'keep the newest of each of n weeks'))
    .addOption(numberOption('--keep-monthly <n>', 'keep the newest of each of n months'))
    .addOption(
      new Option('--older-than <age>', 'delete only older ones: 12h, 30d, 8w, 1y').argParser(ageOf),
    )
    .addOption(patternOption('--name <pattern>', 'delete only those with such a name: "auto-*"'))
    .addOption(patternOption('--keep <pattern>', 'keep those with such a name'));
}

function numberOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser((text) => {
    if (/^\d{1,9}$/.test(text)) return Number(text);
    throw new InvalidArgumentError('Write a number.');
  });
}

function patternOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser(collect);
}

function ageOf(text: string): number {
  // Of age 0 is every snapshot: a slip of the hand must not delete all.
  const seconds = parseAge(text);
  if (seconds !== undefined) return seconds;
  throw new InvalidArgumentError(
    'Write one or more hours, days, weeks or years: 12h, 30d, 8w, 1y.',
  );
}
