import { InvalidArgumentError, Option, type Command } from 'commander';
import { addPruneRules } from '../../qsnap/declare/prune-rules.js';
import { examples } from '../../qsnap/help-texts.js';
import type { ContextFor, Settle } from '../../qsnap/subcommand.js';
import { catalogQuery, type QueryFlags, type Question } from '../commands/query.js';
import type { ReadyName } from '../questions/ready.js';
import { countOf, databaseOption } from './options.js';

/** What each ready question asks. */
const READY: Readonly<Record<ReadyName, string>> = {
  oldest: 'snapshots by age',
  largest: 'snapshots by what deleting each of them frees',
  orphans: 'overlays whose backing file is not there, as far as is known',
  violations: 'findings that are errors or warnings',
  drift: 'what a reading found different from the one before',
  failed: 'images that could not be read or measured, and why',
  duplicates: 'disks of equal content, where hashes were asked for',
};

const EXAMPLES = examples([
  ['qsnap catalog query --largest', 'which snapshots cost most'],
  ['qsnap catalog query --orphans --json', 'for programs'],
  ['qsnap catalog query --what-if prune --keep-last 7', 'what would go, and free'],
  ['qsnap catalog query "select count(*) from images"', 'by SQL'],
]);

type Flags = QueryFlags & Partial<Record<ReadyName, boolean>> & { readonly whatIf?: 'prune' };

/** Adds `query` to `catalog`. */
export function addQuery(catalog: Command, contextFor: ContextFor, settle: Settle): void {
  const command = catalog
    .command('query')
    .description('Ask the catalogue a question; no image is opened, and nothing changes.')
    .helpOption('-h, --help', 'print this help')
    .argument('[sql]', 'a question of your own: docs/catalog.md has the tables')
    .addOption(databaseOption());
  for (const [name, does] of Object.entries(READY)) command.option(`--${name}`, does);
  command.addOption(
    new Option('--what-if <command>', 'what a command would do everywhere: prune').argParser(
      commandOf,
    ),
  );
  addPruneRules(command)
    .addOption(new Option('--limit <n>', 'rows; for people 20 by default').argParser(countOf))
    .addOption(
      new Option('--format <name>', 'table, csv or jsonl: an object a line').argParser(formatOf),
    )
    .addHelpText('after', EXAMPLES)
    .action(async (sql: string | undefined, flags: Flags) => {
      const question = questionOf(sql, flags, command);
      settle(await catalogQuery(question, flags, contextFor(command)));
    });
}

/** @throws CommanderError unless there is one question. */
function questionOf(sql: string | undefined, flags: Flags, command: Command): Question {
  const names = (Object.keys(READY) as ReadyName[]).filter((name) => flags[name] === true);
  const questions: readonly Question[] = [
    ...names.map((name) => ({ kind: 'ready', name }) as const),
    ...(flags.whatIf === undefined ? [] : [{ kind: 'what-if-prune' } as const]),
    ...(sql === undefined ? [] : [{ kind: 'own', sql } as const]),
  ];
  if (questions.length !== 1) {
    const found = questions.length === 0 ? 'no question' : 'several questions';
    command.error(
      `error: ${found}: one of ${Object.keys(READY)
        .map((name) => `--${name}`)
        .join(', ')}, --what-if, or SQL`,
    );
  }
  if (flags.whatIf === undefined) refuseRules(flags, command);
  if (flags.format !== undefined && command.optsWithGlobals<{ json?: boolean }>().json === true) {
    command.error('error: --json and --format: one of them says how rows are printed');
  }
  return questions[0]!;
}

const RULES = ['keepLast', 'keepHourly', 'keepDaily', 'keepWeekly', 'keepMonthly'] as const;

function refuseRules(flags: Flags, command: Command): void {
  const given = [...RULES, 'olderThan', 'name', 'keep'] as const;
  if (given.every((name) => flags[name] === undefined)) return;
  command.error('error: which snapshots stay is for --what-if prune');
}

function commandOf(text: string): 'prune' {
  if (text === 'prune') return text;
  throw new InvalidArgumentError('Write prune.');
}

function formatOf(text: string): NonNullable<QueryFlags['format']> {
  if (text === 'table' || text === 'csv' || text === 'jsonl') return text;
  throw new InvalidArgumentError('Write table, csv or jsonl.');
}
