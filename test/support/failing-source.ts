import { QsnapError } from '../../src/errors.js';
import type { BlockSource, ByteRange } from '../../src/io/device.js';

/** A source on a medium with bad places: a read that touches one fails as a whole. */
export function failingSource(source: BlockSource, bad: readonly ByteRange[]): BlockSource {
  return {
    label: source.label,
    sizeBytes: () => source.sizeBytes(),
    readBatch: async (requests) => {
      const fails = requests.some(({ at, into }) =>
        bad.some((place) => at < place.at + place.length && at + into.length > place.at),
      );
      if (fails) {
        throw new QsnapError('READ_FAILED', 'the medium does not give it', { systemCode: 'EIO' });
      }
      await source.readBatch(requests);
    },
    close: () => source.close(),
  };
}
