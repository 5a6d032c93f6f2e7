/** What `bench` says, as qemu-img was seen to print it. */
import type { Behaviour } from '../version/behaviour.js';

interface Requests {
  readonly count: number;
  readonly bytes: number;
  readonly depth: number;
  readonly offset: bigint;
  readonly step: number;
}

export const BENCH = {
  sending: ({ count, bytes, depth, offset, step }: Requests) =>
    `Sending ${count} read requests, ${bytes} bytes each, ${depth} in parallel ` +
    `(starting at offset ${offset}, step size ${step})`,
  completed: (seconds: number) => `Run completed in ${seconds.toFixed(3)} seconds.`,
  failed: (reason: string) => `Failed request: ${reason}`,
  noNumber: (what: string, text: string, { quotedByteCounts, version }: Behaviour) => {
    if (!quotedByteCounts) return `Invalid ${what} specified`;
    return `Invalid ${what} specified: '${text}'${version === 'debian-10.0' ? '.' : ''}`;
  },
  outOfRange: (what: string, min: number, max: number) =>
    `Invalid ${what} specified. Must be between ${min} and ${max}.`,
  stepName: ({ quotedByteCounts }: Behaviour) => (quotedByteCounts ? 'step size' : 'step_size'),
  cache: 'Invalid cache mode',
  aio: (name: string) => `Invalid aio option: ${name}`,
  nativeCached:
    'aio=native was specified, but it requires cache.direct=on, which was not specified.',
  flushOfReads: '--flush-interval is only available in write tests',
  flushTooOften: "Flush interval can't be smaller than depth",
  writes: '-w is not supported, as it writes over what is on the disk: use qemu-img for it',
} as const;
