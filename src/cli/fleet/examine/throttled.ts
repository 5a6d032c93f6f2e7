import { setTimeout as sleep } from 'node:timers/promises';
import type { BlockSource, ReadRequest } from '../../../index.js';
import { openSource } from '../../remote/open-source.js';

/** How a file of a catalogue is opened. */
export interface Opening {
  /** Read although another program writes. */
  readonly forceShare: boolean;
  /** How fast it may be read; undefined: no limit. */
  readonly bytesPerSecond?: number | undefined;
}

/** @throws QsnapError and errors of the system: why it can't be opened. */
export async function openThrottled(
  location: string,
  { forceShare, bytesPerSecond }: Opening,
): Promise<BlockSource> {
  return throttled(await openSource(location, { forceShare }), bytesPerSecond);
}

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
