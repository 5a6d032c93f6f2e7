import { QsnapError, isQsnapError } from '../../../index.js';
import { EXIT_CODES, type ExitCode } from '../../exit-codes.js';
import { printJson, printLines, type Context } from '../../qsnap/context.js';
import type { PruneRuleFlags } from '../../qsnap/prune-rules.js';
import { oneSafeLine } from '../../text.js';
import type { Database } from '../database/database.js';
import { answerCsv, answerJsonLines, answerRows } from '../present/answer-data.js';
import { answerLines } from '../present/answer-text.js';
import { queryFailureLines } from '../present/query-failure.js';
import { prunedTotals, totalsJson, totalsLine, type PruneTotals } from '../present/prune-totals.js';
import type { Answer } from '../questions/answer.js';
import { askOwn, QueryError } from '../questions/own-sql.js';
import { askReady, type ReadyName } from '../questions/ready.js';
import { askWhatIfPruned } from '../questions/what-if-answer.js';
import { withCatalog, type CatalogFlags } from '../with-catalog.js';

export type QueryFormat = 'table' | 'csv' | 'jsonl';

/** Flags of `catalog query` besides the question. */
export interface QueryFlags extends CatalogFlags, PruneRuleFlags {
  readonly limit?: number;
  readonly format?: QueryFormat;
}

/** What is asked. */
export type Question =
  | { readonly kind: 'ready'; readonly name: ReadyName }
  | { readonly kind: 'what-if-prune' }
  | { readonly kind: 'own'; readonly sql: string };

/** Rows that people get where they say nothing. */
const ROWS_FOR_PEOPLE = 20;

/** `qsnap catalog query` */
export function catalogQuery(
  question: Question,
  flags: QueryFlags,
  context: Context,
): Promise<ExitCode> {
  return withCatalog(flags, context, async (database) => {
    const isForPeople = !context.json && (flags.format ?? 'table') === 'table';
    const limit = flags.limit ?? (isForPeople ? ROWS_FOR_PEOPLE : undefined);
    try {
      const { answer, totals } = await asked(database, question, limit, flags, context);
      tell(answer, totals, flags, context);
      if (answer.hasMore && isForPeople && !context.quiet) {
        context.io.stderr.write(`There are more; --limit ${limit! * 10} shows more of them.\n`);
      }
      return EXIT_CODES.done.code;
    } catch (error) {
      if (!reportRefusal(error, question, context)) throw error;
      return EXIT_CODES.notDone.code;
    }
  });
}

interface Asked {
  readonly answer: Answer;
  readonly totals?: PruneTotals;
}

async function asked(
  database: Database,
  question: Question,
  limit: number | undefined,
  flags: QueryFlags,
  { io }: Context,
): Promise<Asked> {
  if (question.kind === 'ready') return { answer: await askReady(database, question.name, limit) };
  if (question.kind === 'own')
    return { answer: limited(await askOwn(database, question.sql), flags) };
  const { answer, pruned } = await askWhatIfPruned(database, flags, io.now(), limit);
  return { answer, totals: prunedTotals(pruned) };
}

/** A statement of one's own says itself how many rows it wants, unless the option says it. */
function limited(answer: Answer, { limit }: QueryFlags): Answer {
  if (limit === undefined) return answer;
  return { ...answer, rows: answer.rows.slice(0, limit), hasMore: answer.rows.length > limit };
}

function tell(
  answer: Answer,
  totals: PruneTotals | undefined,
  { format }: QueryFlags,
  context: Context,
): void {
  const { io } = context;
  if (context.json) {
    printJson(context, {
      columns: answer.columns.map(({ name }) => name),
      rows: answerRows(answer),
      'has-more': answer.hasMore,
      ...(totals !== undefined && { totals: totalsJson(totals) }),
    });
  } else if (format === 'csv') io.stdout.write(answerCsv(answer, io.stdout.isTerminal));
  else if (format === 'jsonl') io.stdout.write(answerJsonLines(answer));
  else {
    printLines(context, answerLines(answer));
    if (totals !== undefined && answer.rows.length > 0) printLines(context, [totalsLine(totals)]);
  }
}

/** @returns false for what is no refusal. */
function reportRefusal(error: unknown, question: Question, context: Context): boolean {
  const prefix = context.errorStyle.error('qsnap:');
  if (error instanceof QueryError) {
    const [first, ...more] = queryFailureLines(error, question.kind === 'own' ? question.sql : '');
    context.io.stderr.write(`${[`${prefix} ${first!}`, ...more].join('\n')}\n`);
    if (context.json) printJson(context, { error: queryErrorJson(error) });
    return true;
  }
  if (!isQsnapError(error)) return false;
  context.io.stderr.write(`${prefix} ${oneSafeLine(sentence(error))}\n`);
  if (context.json) printJson(context, { error: error.toJSON() });
  return true;
}

const sentence = ({ message, details: { expected } }: QsnapError): string =>
  expected === undefined ? message : `${message}; wanted: ${expected}`;

function queryErrorJson({ message, state, position, hint }: QueryError): Record<string, unknown> {
  return {
    code: 'QUERY_FAILED',
    kind: 'request',
    message,
    'sql-state': state,
    ...(position !== undefined && { position }),
    ...(hint !== undefined && { hint }),
  };
}
