import { QsnapError } from '../../../index.js';
import { printableText } from '../../../internal.js';
import { EXIT_CODES, type ExitCode } from '../../exit-codes.js';
import { printJson, printLines, type Context } from '../../qsnap/context.js';
import { errorJson, reportFailure } from '../../qsnap/report.js';
import { countText } from '../../text.js';
import type { Database } from '../database/database.js';
import { readTable, type ExportedTable } from '../export/exported-table.js';
import { newOutput } from '../export/new-output.js';
import type { RowEncoder } from '../export/row-encoder.js';
import { ENCODERS, type ExportFormat } from '../export/row-encoders.js';
import { withCatalog, type CatalogFlags } from '../with-catalog.js';

/** Flags of `catalog export`. */
export interface CatalogExportFlags extends CatalogFlags {
  readonly output: string;
  readonly table: ExportedTable;
  readonly format: ExportFormat;
  readonly force?: boolean;
}

/** `qsnap catalog export -o FILE` */
export function catalogExport(flags: CatalogExportFlags, context: Context): Promise<ExitCode> {
  return withCatalog(flags, context, async (database) => {
    try {
      const rows = await context.io.interruptible((signal) =>
        exportTable(database, flags, signal, context),
      );
      if (flags.output !== '-') tell(rows, flags, context);
      return EXIT_CODES.done.code;
    } catch (error) {
      reportFailure(error, flags.output, 'read', context);
      if (context.json) printJson(context, { error: errorJson(error, 'read') });
      return EXIT_CODES.notDone.code;
    }
  });
}

/** @returns how many rows were written. */
async function exportTable(
  database: Database,
  { output: name, table, format, force }: CatalogExportFlags,
  signal: AbortSignal,
  { io }: Context,
): Promise<number> {
  const output = await newOutput(name, force === true, io.stdout);
  try {
    let encoder: RowEncoder | undefined;
    const count = await readTable(database, table, (columns) => {
      const rows = ENCODERS[format](columns);
      encoder = rows;
      return async (some) => {
        if (signal.aborted) throw new QsnapError('ABORTED', 'the export was stopped');
        await output.write(rows.add(some));
      };
    });
    await output.write(encoder!.finish());
    await output.commit();
    return count;
  } finally {
    await output.discard();
  }
}

function tell(rows: number, { output, table }: CatalogExportFlags, context: Context): void {
  if (context.json) printJson(context, { filename: output, table, rows });
  else if (!context.quiet) {
    const what = countText(rows, 'row');
    printLines(context, [`Exported ${what} of ${table} to ${printableText(output)}.`]);
  }
}
