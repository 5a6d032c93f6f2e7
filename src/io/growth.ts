import type { BlockSource } from './device.js';

/** Whether a plan for this source may count on room behind its end. */
export function isGrowable({ growable }: BlockSource): boolean {
  return growable ?? true;
}

/** The same source as one that can't become longer: plans for it have to do with the room inside. */
export function fixedLength(source: BlockSource): BlockSource {
  return {
    label: source.label,
    growable: false,
    freeBytes: async () => source.freeBytes?.(),
    sizeBytes: () => source.sizeBytes(),
    readBatch: (requests) => source.readBatch(requests),
    close: () => source.close(),
  };
}
