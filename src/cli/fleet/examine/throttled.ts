import { setTimeout as sleep } from 'node:timers/promises';
import type { BlockSource, ReadRequest } from '../../../index.js';

/** The same source, read at a limited speed: each read waits until those before it are paid for. */
export function throttled<Source extends BlockSource>(
  source: Source,
  bytesPerSecond: number | undefined,
): Source {
  if (bytesPerSecond === undefined) return source;
  /** When the reads so far are paid for, by the process's clock in milliseconds. */
  let paidAt = 0;
  const readBatch = async (requests: readonly ReadRequest[]): Promise<void> => {
    const bytes = requests.reduce((sum, { into }) => sum + into.length, 0);
    const now = performance.now();
    const begins = Math.max(now, paidAt);
    paidAt = begins + (bytes / bytesPerSecond) * 1000;
    if (begins > now) await sleep(begins - now);
    await source.readBatch(requests);
  };
  return new Proxy(source, {
    get: (target, name) => {
      if (name === 'readBatch') return readBatch;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
