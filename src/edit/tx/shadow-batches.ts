import { newIoBytes } from '../../base/io-bytes.js';
import { MiB } from '../../base/units.js';
import type { BlockSource, WriteRequest } from '../../io/device.js';
import { tableReads } from '../../io/table-reads.js';
import type { ShadowWrite, TableWrites } from './plan.js';
import { tableMaker, type TableMaker } from '../tables/table-maker.js';

/** Bytes of tables that are made at a time. */
const BATCH_BYTES = 4 * MiB;

/**
 * The bytes of a shadow write, a few MiB at a time, in the order of its ranges. Writes nothing.
 *
 * Two buffers take turns: the bytes of a batch are what they are until the one after the next is asked
 * for.
 */
export async function* shadowBatches(
  source: BlockSource,
  write: ShadowWrite,
): AsyncGenerator<readonly WriteRequest[]> {
  if (write.kind === 'literal') {
    yield [write];
    return;
  }
  const { tableBytes, targets } = write;
  const perBatch = Math.min(Math.max(1, Math.floor(BATCH_BYTES / tableBytes)), targets.length);
  const make = tableMaker(write.content);
  const buffers = [0, 1].map(() => newIoBytes(perBatch * tableBytes));
  for (let first = 0; first < targets.length; first += perBatch) {
    const end = Math.min(first + perBatch, targets.length);
    const memory = buffers[(first / perBatch) % 2]!;
    if (write.sources === undefined && first >= 2 * perBatch) memory.fill(0);
    yield await makeTables(source, write, make, [first, end], memory);
  }
}

async function makeTables(
  source: BlockSource,
  write: TableWrites,
  make: TableMaker,
  [first, end]: readonly [first: number, end: number],
  memory: Uint8Array,
): Promise<readonly WriteRequest[]> {
  const { sources } = write;
  if (sources !== undefined) {
    await (write.from ?? source).readBatch(
      tableReads(sources, first, end, write.tableBytes, memory),
    );
  }
  return Array.from({ length: end - first }, (_, i) => {
    const bytes = memory.subarray(i * write.tableBytes, (i + 1) * write.tableBytes);
    make(first + i, bytes);
    return { at: write.targets[first + i]!, bytes };
  });
}
