import type { Command } from 'commander';
import { examples } from '../../qsnap/help-texts.js';
import type { ContextFor, Settle } from '../../qsnap/subcommand.js';
import { catalogReport, type ReportFlags } from '../commands/report.js';
import { databaseOption } from './options.js';

const EXAMPLES = examples([
  ['qsnap catalog report -o fleet.html', 'a page for a browser, without scripts'],
]);

/** Adds `report` to `catalog`. */
export function addReport(catalog: Command, contextFor: ContextFor, settle: Settle): void {
  const command = catalog
    .command('report')
    .description('Write a page with pictures of what the catalogue knows.')
    .helpOption('-h, --help', 'print this help')
    .addOption(databaseOption())
    .requiredOption('-o, --output <file>', 'the page, in HTML; - for stdout')
    .option('--force', 'replace a file that is there')
    .addHelpText('after', EXAMPLES)
    .action(async (flags: ReportFlags) => {
      settle(await catalogReport(flags, contextFor(command)));
    });
}
