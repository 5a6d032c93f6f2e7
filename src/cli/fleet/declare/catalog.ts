/** The commands on a catalogue of images. */
import { Option, type Command } from 'commander';
import type { ContextFor, Settle } from '../../qsnap/subcommand.js';
import { catalogAdd, catalogRefresh, type AddFlags, type RefreshFlags } from '../commands/add.js';
import { catalogRemove, catalogStatus } from '../commands/status.js';
import { worker, type WorkerFlags } from '../commands/worker.js';
import type { CatalogFlags } from '../with-catalog.js';
import { EXAMPLES } from './examples.js';
import { addCatalogExport } from './export.js';
import { addPolicyOptions, addWorkOptions, databaseOption, portOf } from './options.js';
import { addQuery } from './query.js';
import { addReport } from './report.js';

/** Adds `catalog` and what it has. */
export function addCatalog(program: Command, contextFor: ContextFor, settle: Settle): void {
  const catalog = named(
    program,
    'catalog',
    'Keep a database of many images, and ask it questions.',
  ).helpCommand(false);
  addPolicyOptions(
    addWorkOptions(
      named(catalog, 'add', 'Take in images of files, folders, URLs and buckets.')
        .argument('<place...>', 'files, folders, https://… or s3://bucket/prefix/')
        .addOption(databaseOption()),
    ),
  )
    .option('--hash', 'also read all guest data, and keep a SHA-256 of each disk')
    .option('--no-wait', 'leave the reading to workers')
    .action(async (places: string[], flags: AddFlags, command: Command) => {
      settle(await catalogAdd(places, flags, contextFor(command)));
    });
  addWorkOptions(
    named(catalog, 'refresh', 'Read again what changed, and mark what is gone.')
      .argument('[place...]', 'places of the catalogue; all by default')
      .addOption(databaseOption()),
  )
    .option('--all', 'also images that look as they did')
    .option('--no-wait', 'leave the reading to workers')
    .action(async (places: string[], flags: RefreshFlags, command: Command) => {
      settle(await catalogRefresh(places, flags, contextFor(command)));
    });
  named(catalog, 'status', 'Tell what the catalogue has.')
    .addOption(databaseOption())
    .action(async (flags: CatalogFlags, command: Command) => {
      settle(await catalogStatus(flags, contextFor(command)));
    });
  named(catalog, 'remove', 'Forget places and their images; no image is touched.')
    .argument('<place...>', 'places of the catalogue')
    .addOption(databaseOption())
    .action(async (places: string[], flags: CatalogFlags, command: Command) => {
      settle(await catalogRemove(places, flags, contextFor(command)));
    });
  addQuery(catalog, contextFor, settle);
  addCatalogExport(catalog, contextFor, settle);
  addReport(catalog, contextFor, settle);
}

/** Adds `worker`. */
export function addWorker(program: Command, contextFor: ContextFor, settle: Settle): void {
  addWorkOptions(
    named(program, 'worker', 'Read images for a catalogue, beside other workers.').addOption(
      databaseOption(),
    ),
  )
    .option('--once', 'end when no image waits')
    .addOption(
      new Option('--metrics <port>', 'tell Prometheus on this port of 127.0.0.1; 0: any').argParser(
        portOf,
      ),
    )
    .action(async (flags: WorkerFlags, command: Command) => {
      settle(await worker(flags, contextFor(command)));
    });
}

function named(parent: Command, name: keyof typeof EXAMPLES, description: string): Command {
  return parent
    .command(name)
    .description(description)
    .helpOption('-h, --help', 'print this help')
    .addHelpText('after', EXAMPLES[name]);
}
