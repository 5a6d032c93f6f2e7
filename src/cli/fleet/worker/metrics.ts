import { createServer, type Server } from 'node:http';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { CatalogError, type Database } from '../database/database.js';
import { countWaiting } from './count-waiting.js';
import { isReading } from './do-job.js';
import type { WorkerWatch } from './run-worker.js';

/** What a worker measures of itself, in Prometheus' text format. */
export interface Metrics {
  readonly watch: WorkerWatch;
  /** Where it can be asked. */
  readonly address: string;
  close(): Promise<void>;
}

/** From a small image to an hour. */
const SECONDS = [0.01, 0.05, 0.1, 0.5, 1, 5, 30, 120, 600, 3600];

/**
 * Tells on 127.0.0.1 what a worker does.
 *
 * @param port 0: any that is free.
 * @throws CatalogError where the port is taken.
 */
export async function serveMetrics(database: Database, port: number): Promise<Metrics> {
  const registry = new Registry();
  new Gauge({
    name: 'qsnap_images_waiting',
    help: 'Images of the catalogue that wait for a reading, those that are read now included',
    registers: [registry],
    async collect() {
      this.set(await countWaiting(database));
    },
  });
  const watch = watchInto(registry);
  const server = serverOf(registry);
  await listening(server, port);
  const { port: used } = server.address() as { readonly port: number };
  return {
    watch,
    address: `http://127.0.0.1:${used}/metrics`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

/** Counts what it is told. */
function watchInto(registry: Registry): WorkerWatch {
  const registers = [registry];
  const running = new Gauge({
    name: 'qsnap_images_running',
    help: 'Images, and ranges of large disks, that this worker reads now',
    registers,
  });
  const seconds = new Histogram({
    name: 'qsnap_image_seconds',
    help: 'How long this worker read an image',
    labelNames: ['outcome'],
    buckets: SECONDS,
    registers,
  });
  const stored = new Counter({
    name: 'qsnap_images_stored_total',
    help: 'Readings that this worker put into the catalogue',
    registers,
  });
  const rangesStored = new Counter({
    name: 'qsnap_ranges_stored_total',
    help: 'Ranges of large disks that this worker hashed for the catalogue',
    registers,
  });
  return {
    onBegun: () => {
      running.inc();
    },
    onDone: (finished, took) => {
      running.dec();
      if (!isReading(finished)) return;
      const { failure, isGone } = finished.record;
      seconds.observe(
        { outcome: isGone ? 'gone' : failure === undefined ? 'read' : 'failed' },
        took,
      );
    },
    onStored: ({ images, ranges }) => {
      stored.inc(images);
      rangesStored.inc(ranges);
    },
  };
}

function serverOf(registry: Registry): Server {
  return createServer((request, response) => {
    if (request.method !== 'GET' || request.url !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    registry.metrics().then(
      (text) => {
        response.writeHead(200, { 'Content-Type': registry.contentType }).end(text);
      },
      // The database does not answer.
      () => {
        response.writeHead(503).end();
      },
    );
  });
}

async function listening(server: Server, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      reject(new CatalogError(`metrics can't be told on port ${port}: ${error.message}`));
    });
    server.listen(port, '127.0.0.1', resolve);
  });
}
