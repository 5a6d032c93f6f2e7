import { existsSync } from 'node:fs';
import path from 'node:path';
import { Worker, type ResourceLimits } from 'node:worker_threads';
import { settled } from '../../internal.js';
import type { TaskArguments, TaskName, TaskResult } from './tasks.js';
import type { Answer, Order } from './thread.js';

/** Why a thread ended before its task did; the message is for people. */
export class ThreadLost extends Error {
  readonly reason: 'timeout' | 'memory' | 'stopped' | 'failed';

  constructor(reason: ThreadLost['reason'], message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'ThreadLost';
    this.reason = reason;
  }
}

export interface PoolOptions {
  /** Tasks at once. */
  readonly size: number;
  /** Milliseconds that a task may take. */
  readonly timeoutMs?: number | undefined;
  /** Bytes of JavaScript objects that a task may hold. */
  readonly heapBytes?: number | undefined;
  /** The program of a thread, or a function that does the work in this one. */
  readonly worker: string | ((name: TaskName, argument: unknown) => Promise<unknown>);
}

/** The program of a thread, where this is a built one. */
export function threadProgram(): string | undefined {
  const program = path.join(path.dirname(import.meta.url), '../fleet/thread.cjs');
  return existsSync(program) ? program : undefined;
}

/**
 * Does tasks in other threads, each thread one at a time. A thread begins with its first task, and a lost one is
 * replaced with the next.
 */
export class ThreadPool {
  readonly #options: PoolOptions;
  readonly #idle: Worker[] = [];
  readonly #all = new Set<Worker>();
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #isClosed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  /** @throws ThreadLost; and what the task throws, as far as a message can carry it. */
  async run<Name extends TaskName>(
    name: Name,
    argument: TaskArguments<Name>,
  ): Promise<TaskResult<Name>> {
    if (this.#running >= this.#options.size) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    } else {
      this.#running += 1;
    }
    try {
      const { worker } = this.#options;
      const result =
        typeof worker === 'function'
          ? await worker(name, argument)
          : await this.#inThread(worker, { name, argument });
      return result as TaskResult<Name>;
    } finally {
      // Whoever waits takes the place over.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }

  /** Ends all threads; tasks in them are lost. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await settled([...this.#all].map((worker) => worker.terminate()));
  }

  async #inThread(program: string, order: Order): Promise<unknown> {
    if (this.#isClosed) throw new ThreadLost('stopped', 'the work was stopped');
    const worker = this.#idle.pop() ?? this.#begin(program);
    const answer = await this.#ask(worker, order);
    this.#idle.push(worker);
    worker.unref();
    if ('error' in answer) throw answer.error;
    return answer.result;
  }

  #begin(program: string): Worker {
    const { heapBytes } = this.#options;
    const resourceLimits: ResourceLimits =
      heapBytes === undefined ? {} : { maxOldGenerationSizeMb: Math.ceil(heapBytes / 2 ** 20) };
    const worker = new Worker(program, { resourceLimits, stdout: false, stderr: false });
    this.#all.add(worker);
    worker.once('exit', () => {
      this.#all.delete(worker);
      const at = this.#idle.indexOf(worker);
      if (at !== -1) this.#idle.splice(at, 1);
    });
    return worker;
  }

  #ask(worker: Worker, order: Order): Promise<Answer> {
    const { timeoutMs } = this.#options;
    return new Promise((resolve, reject) => {
      let isLate = false;
      const timer =
        timeoutMs === undefined
          ? undefined
          : setTimeout(() => {
              isLate = true;
              void worker.terminate();
            }, timeoutMs);
      const settle = (end: () => void): void => {
        clearTimeout(timer);
        worker.off('message', onMessage).off('error', onError).off('exit', onExit);
        end();
      };
      const onMessage = (answer: Answer): void => {
        settle(() => {
          resolve(answer);
        });
      };
      const onError = (error: unknown): void => {
        settle(() => {
          reject(lostBy(error));
        });
      };
      const onExit = (): void => {
        settle(() => {
          reject(
            isLate
              ? new ThreadLost('timeout', `it took more than ${timeoutMs! / 1000} s`)
              : new ThreadLost('stopped', 'the work was stopped'),
          );
        });
      };
      worker.on('message', onMessage).on('error', onError).on('exit', onExit);
      worker.ref();
      worker.postMessage(order);
    });
  }
}

function lostBy(error: unknown): ThreadLost {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ERR_WORKER_OUT_OF_MEMORY') {
    return new ThreadLost('memory', 'it took more memory than it may', error);
  }
  const message = error instanceof Error ? error.message : String(error);
  return new ThreadLost('failed', message, error);
}
