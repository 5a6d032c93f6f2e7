import { availableParallelism } from 'node:os';
import { AUDIT_RULES, type AuditPolicy, type Need } from '../../index.js';
import type { CliStreams } from '../streams.js';
import { receivedResult } from '../pool/sent-result.js';
import { ThreadPool, threadProgram } from '../pool/thread-pool.js';
import { auditFile, type AuditTask } from './audit-file.js';
import { inOrder } from './in-order.js';
import type { AuditResult } from './present/audited.js';

/** What keeps a core busy: all else is waiting for a few reads. */
const HEAVY: ReadonlySet<Need> = new Set(['check', 'remains']);

/** A thread takes as long to begin as a few images take to be judged. */
const IMAGES_MIN = 4;

/** Audits images over all cores where that is worth it. Results come in the order of the paths. */
export async function* auditMany(
  paths: readonly string[],
  task: Omit<AuditTask, 'path' | 'file'>,
  io: Pick<CliStreams, 'willRead'>,
): AsyncGenerator<AuditResult, void, undefined> {
  const program = threadProgram();
  const cores = availableParallelism();
  const isWorth = cores > 1 && paths.length >= IMAGES_MIN && isHeavy(task.policy);
  // No thread can tell a record of evidence which files it opens.
  const isTold = task.backing && io.willRead !== undefined;
  if (program === undefined || !isWorth || isTold) {
    yield* inOrder(paths, (path) => auditFile({ ...task, path }, undefined, io));
    return;
  }
  const pool = new ThreadPool({ size: Math.min(cores, paths.length), worker: program });
  try {
    const work = async (path: string): Promise<AuditResult> =>
      receivedResult(await pool.run('audit', { ...task, path }));
    yield* inOrder(paths, work, 2 * cores);
  } finally {
    await pool.close();
  }
}

function isHeavy({ rules }: AuditPolicy): boolean {
  return AUDIT_RULES.some(
    ({ id, needs }) => rules.get(id)?.level !== undefined && needs.some((need) => HEAVY.has(need)),
  );
}
