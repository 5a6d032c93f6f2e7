import type { BlockSource } from './device.js';

/** A source of so many bytes that are all zero: one hole. */
export function zeroSource(label: string, sizeBytes: number): BlockSource {
  return {
    label,
    sizeBytes: () => Promise.resolve(sizeBytes),
    stretchesFrom: (from, to) => Promise.resolve([{ at: from, length: to - from, isHole: true }]),
    readBatch: (requests) => {
      for (const { into } of requests) into.fill(0);
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  };
}
