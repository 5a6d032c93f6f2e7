import { isQsnapError, type QsnapError } from '../../errors.js';
import type { BlockSource, ReadRequest } from '../../io/device.js';

/** What a medium gives or does not give. */
const SECTOR_BYTES = 512;

/**
 * Reads what the medium gives; sectors that it does not give are zeros.
 *
 * @param onLost is told of each of them: index of the request, first byte in it, bytes, and the error.
 */
export async function readAround(
  source: BlockSource,
  requests: readonly ReadRequest[],
  onLost: (request: number, from: number, bytes: number, error: QsnapError) => void,
): Promise<void> {
  if ((await failureOf(source, requests)) === undefined) return;
  for (const [index, request] of requests.entries()) {
    if ((await failureOf(source, [request])) === undefined) continue;
    const { at, into } = request;
    for (let from = 0; from < into.length; from += SECTOR_BYTES) {
      const sector = into.subarray(from, from + SECTOR_BYTES);
      const failure = await failureOf(source, [{ at: at + from, into: sector }]);
      if (failure === undefined) continue;
      sector.fill(0);
      onLost(index, from, sector.length, failure);
    }
  }
}

async function failureOf(
  source: BlockSource,
  requests: readonly ReadRequest[],
): Promise<QsnapError | undefined> {
  try {
    await source.readBatch(requests);
    return undefined;
  } catch (error) {
    if (isQsnapError(error) && error.code === 'READ_FAILED') return error;
    throw error;
  }
}
