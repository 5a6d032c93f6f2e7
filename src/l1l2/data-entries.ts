import { COMPRESSED, hasZeroFlag, offsetOf, type TableFormat, ZERO_FLAG } from './entry.js';

/**
 * How many entries of an L2 table lead to data, from entry `from` on. One that reads as zeros whatever lies in its cluster
 * leads to none, nor does one that points behind the end of the file.
 *
 * @param words the table, in host order.
 */
export function countDataEntries(words: Uint32Array, from: number, format: TableFormat): number {
  const { geometry, fileClusters } = format;
  const { l2EntryBytes, clusterBytes } = geometry;
  const stride = l2EntryBytes / 4;
  const fileBytes = fileClusters * clusterBytes;
  const zeroFlag = hasZeroFlag(format) ? ZERO_FLAG : 0;
  let count = 0;
  for (let i = from * stride; i < words.length; i += stride) {
    const [high, low] = [words[i]!, words[i + 1]!];
    if ((high & COMPRESSED) !== 0) count += 1;
    else if ((low & zeroFlag) === 0) {
      const at = offsetOf(high, low);
      const isAllocated = stride === 2 || words[i + 3] !== 0;
      if (at !== 0 && at < fileBytes && isAllocated) count += 1;
    }
  }
  return count;
}
