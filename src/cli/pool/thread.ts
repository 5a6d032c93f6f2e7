/** A thread of the pool: does one task after the other. */
import { parentPort } from 'node:worker_threads';
import { doTask, type TaskName } from './tasks.js';

/** What a thread is told. */
export interface Order {
  readonly name: TaskName;
  readonly argument: unknown;
}

/** What it answers. */
export type Answer = { readonly result: unknown } | { readonly error: unknown };

parentPort!.on('message', ({ name, argument }: Order) => {
  void doTask(name, argument).then(
    (result) => {
      parentPort!.postMessage({ result } satisfies Answer);
    },
    (error: unknown) => {
      parentPort!.postMessage({ error } satisfies Answer);
    },
  );
});
