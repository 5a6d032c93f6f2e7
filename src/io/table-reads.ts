import type { ReadRequest } from './device.js';

/**
 * Requests that fill `memory` with tables, one after the other. Tables that lie in a row in the file
 * are one request: a large image has thousands, and mostly in long rows.
 *
 * @param offsets host offsets of the tables.
 * @param first index of the first table that is wanted, `end` that behind the last one.
 */
export function tableReads(
  offsets: Float64Array,
  first: number,
  end: number,
  tableBytes: number,
  memory: Uint8Array,
): readonly ReadRequest[] {
  const requests: ReadRequest[] = [];
  for (let from = first, to; from < end; from = to) {
    to = from + 1;
    while (to < end && offsets[to] === offsets[to - 1]! + tableBytes) to += 1;
    const into = memory.subarray((from - first) * tableBytes, (to - first) * tableBytes);
    requests.push({ at: offsets[from]!, into });
  }
  return requests;
}
