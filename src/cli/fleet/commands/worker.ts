import { EXIT_CODES, type ExitCode } from '../../exit-codes.js';
import { countText } from '../../text.js';
import { printJson, printLines, type Context } from '../../qsnap/context.js';
import type { Database } from '../database/database.js';
import { Queue } from '../queue/queue.js';
import { serveMetrics, type Metrics } from '../worker/metrics.js';
import { withCatalog, type CatalogFlags } from '../with-catalog.js';
import { PATIENCE_MS, work, workThrough, type WorkFlags } from './work.js';

/** Flags of `worker`. */
export interface WorkerFlags extends CatalogFlags, WorkFlags {
  /** End when no image waits. */
  readonly once?: boolean;
  /** A port of this host. */
  readonly metrics?: number;
}

/** `qsnap worker` */
export function worker(flags: WorkerFlags, context: Context): Promise<ExitCode> {
  const use = async (database: Database): Promise<ExitCode> => {
    const queue = await Queue.open(database);
    let metrics: Metrics | undefined;
    try {
      if (flags.metrics !== undefined) metrics = await serveMetrics(database, flags.metrics);
      const watch = metrics?.watch ?? {};
      if (metrics !== undefined && !context.quiet) {
        context.io.stderr.write(`metrics: ${metrics.address}\n`);
      }
      const read =
        flags.once === true
          ? await workThrough(database, queue, flags, context, watch)
          : await work(database, queue, flags, context, false, watch);
      if (read === undefined) return EXIT_CODES.notDone.code;
      if (context.json) printJson(context, { read });
      else if (!context.quiet) printLines(context, [`${countText(read, 'image')} looked into`]);
      return EXIT_CODES.done.code;
    } finally {
      await metrics?.close();
      await queue.close();
    }
  };
  return withCatalog(flags, context, use, { patienceMs: PATIENCE_MS });
}
