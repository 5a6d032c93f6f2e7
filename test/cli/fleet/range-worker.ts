/** A process that works on a catalogue with small limits, slowly: `DATABASE BYTES-PER-SECOND`. */
import { openCatalog } from '../../../src/cli/fleet/database/open.js';
import { Queue } from '../../../src/cli/fleet/queue/queue.js';
import { runWorker } from '../../../src/cli/fleet/worker/run-worker.js';
import { doTask } from '../../../src/cli/pool/tasks.js';
import { ThreadPool } from '../../../src/cli/pool/thread-pool.js';
import { SMALL_LIMITS } from '../../support/large-images.js';

const [, , location, bytesPerSecond] = process.argv;
const database = await openCatalog(location!);
const queue = await Queue.open(database);
await runWorker(database, queue, new ThreadPool({ size: 1, worker: doTask }), {
  images: 1,
  limits: new Map([['file', { images: 1, bytesPerSecond: Number(bytesPerSecond) }]]),
  hashLimits: SMALL_LIMITS,
  once: true,
  signal: new AbortController().signal,
  now: () => new Date(),
  patienceMs: 0,
  watch: {
    onStored: ({ images, ranges }) => {
      process.stdout.write(`${images} ${ranges}\n`);
    },
  },
});
await queue.close();
await database.close();
