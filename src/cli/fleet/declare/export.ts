import { InvalidArgumentError, Option, type Command } from 'commander';
import { examples } from '../../qsnap/help-texts.js';
import type { ContextFor, Settle } from '../../qsnap/subcommand.js';
import { catalogExport, type CatalogExportFlags } from '../commands/export.js';
import { EXPORTED_TABLES, type ExportedTable } from '../export/exported-table.js';
import { ENCODERS, type ExportFormat } from '../export/row-encoders.js';
import { databaseOption } from './options.js';

const TABLES = Object.keys(EXPORTED_TABLES) as ExportedTable[];
const FORMATS = Object.keys(ENCODERS) as ExportFormat[];

const EXAMPLES = examples([
  ['qsnap catalog export --table snapshots -o s.csv', 'for a spreadsheet'],
  ['qsnap catalog export --table disks -o disks.parquet', 'for DuckDB, pandas'],
  ['qsnap catalog export --table images --format jsonl -o -', 'to a pipe'],
]);

/** Adds `export` to `catalog`. */
export function addCatalogExport(catalog: Command, contextFor: ContextFor, settle: Settle): void {
  const command = catalog
    .command('export')
    .description('Write a table of the catalogue to a new file.')
    .helpOption('-h, --help', 'print this help')
    .addOption(databaseOption())
    .requiredOption('-o, --output <file>', 'the file; - for stdout')
    .addOption(
      new Option('--table <name>', TABLES.join(', '))
        .argParser((text) => oneOf(TABLES, text))
        .makeOptionMandatory(),
    )
    .addOption(
      new Option('--format <name>', `${FORMATS.join(', ')}; by default as the name ends`).argParser(
        (text) => oneOf(FORMATS, text),
      ),
    )
    .option('--force', 'replace a file that is there')
    .addHelpText('after', EXAMPLES)
    .action(async (flags: Omit<CatalogExportFlags, 'format'> & { format?: ExportFormat }) => {
      const format = flags.format ?? formatOf(flags.output);
      if (format === undefined) {
        command.error(`error: the name tells no format: --format ${FORMATS.join(', ')}`);
      }
      settle(await catalogExport({ ...flags, format: format! }, contextFor(command)));
    });
}

function oneOf<Name extends string>(names: readonly Name[], text: string): Name {
  const name = names.find((one) => one === text);
  if (name !== undefined) return name;
  throw new InvalidArgumentError(`Write ${names.join(', ')}.`);
}

function formatOf(file: string): ExportFormat | undefined {
  return FORMATS.find((name) => file.endsWith(`.${name}`));
}
