import { availableParallelism } from 'node:os';
import { AUDIT_RULES, type AuditPolicy, type Need } from '../../index.js';
import { receivedResult } from '../pool/sent-result.js';
import { ThreadPool, threadProgram } from '../pool/thread-pool.js';
import { auditFile, type AuditTask } from './audit-file.js';
import type { AuditResult } from './present/audited.js';

/** Images whose headers are read at once; what is printed keeps their order. */
const AT_ONCE = 8;

/** What keeps a core busy: all else is waiting for a few reads. */
const HEAVY: ReadonlySet<Need> = new Set(['check', 'remains']);

/** A thread takes as long to begin as a few images take to be judged. */
const IMAGES_MIN = 4;

/** Audits images over all cores where that is worth it. Results come in the order of the paths. */
export async function* auditMany(
  paths: readonly string[],
  task: Omit<AuditTask, 'path'>,
): AsyncGenerator<AuditResult, void, undefined> {
  const program = threadProgram();
  const cores = availableParallelism();
  if (program === undefined || cores < 2 || paths.length < IMAGES_MIN || !isHeavy(task.policy)) {
    yield* inOrder(paths, AT_ONCE, (path) => auditFile({ ...task, path }));
    return;
  }
  const pool = new ThreadPool({ size: Math.min(cores, paths.length), worker: program });
  try {
    yield* inOrder(paths, 2 * cores, async (path) =>
      receivedResult(await pool.run('audit', { ...task, path })),
    );
  } finally {
    await pool.close();
  }
}

function isHeavy({ rules }: AuditPolicy): boolean {
  return AUDIT_RULES.some(
    ({ id, needs }) => rules.get(id)?.level !== undefined && needs.some((need) => HEAVY.has(need)),
  );
}

/** Results in the order of the paths, though several are worked on at once. */
async function* inOrder<T>(
  paths: readonly string[],
  atOnce: number,
  work: (path: string) => Promise<T>,
): AsyncGenerator<T> {
  const running: Promise<T>[] = [];
  const start = (path: string): void => {
    const one = work(path);
    // Its error is taken in its turn.
    one.catch(() => undefined);
    running.push(one);
  };
  for (const path of paths) {
    if (running.length === atOnce) yield await running.shift()!;
    start(path);
  }
  for (const one of running) yield await one;
}
