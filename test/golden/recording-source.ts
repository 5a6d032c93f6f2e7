import { memoryDevice, type BlockSource, type ByteRange } from '../../src/index.js';

/** A source that can't be written to and that remembers which bytes were asked of it. */
export interface RecordingSource {
  readonly source: BlockSource;
  /** One list of ranges for each call of `readBatch`. */
  readonly batches: readonly (readonly ByteRange[])[];
}

export function recordingSource(bytes: Uint8Array): RecordingSource {
  const memory = memoryDevice(bytes);
  const batches: (readonly ByteRange[])[] = [];
  const source: BlockSource = {
    label: 'recording',
    sizeBytes: () => memory.sizeBytes(),
    readBatch: (requests) => {
      batches.push(requests.map(({ at, into }) => ({ at, length: into.length })));
      return memory.readBatch(requests);
    },
    close: () => memory.close(),
  };
  return { source, batches };
}
