import { printableText } from '../../../internal.js';
import { EXIT_CODES, type ExitCode } from '../../exit-codes.js';
import { printJson, printLines, type Context } from '../../qsnap/context.js';
import { errorJson, reportFailure } from '../../qsnap/report.js';
import { newOutput } from '../export/new-output.js';
import { reportPage } from '../present/report-page.js';
import { reportFacts } from '../questions/report-facts.js';
import { withCatalog, type CatalogFlags } from '../with-catalog.js';

/** Flags of `catalog report`. */
export interface ReportFlags extends CatalogFlags {
  readonly output: string;
  readonly force?: boolean;
}

/** `qsnap catalog report -o FILE` */
export function catalogReport(flags: ReportFlags, context: Context): Promise<ExitCode> {
  const { output: name, force } = flags;
  return withCatalog(flags, context, async (database) => {
    try {
      const output = await newOutput(name, force === true, context.io.stdout);
      try {
        const page = reportPage(await reportFacts(database, context.io.now()));
        await output.write(new TextEncoder().encode(page));
        await output.commit();
      } finally {
        await output.discard();
      }
    } catch (error) {
      reportFailure(error, name, 'read', context);
      if (context.json) printJson(context, { error: errorJson(error, 'read') });
      return EXIT_CODES.notDone.code;
    }
    if (name !== '-') {
      if (context.json) printJson(context, { filename: name });
      else if (!context.quiet) {
        printLines(context, [`Wrote the report to ${printableText(name)}.`]);
      }
    }
    return EXIT_CODES.done.code;
  });
}
