import { MiB } from '../base/units.js';
import type { BlockSource, ReadRequest, WriteRequest } from '../io/device.js';
import type { ShadowWrite, TableWrites } from './plan.js';

/** Bytes of tables that are made at a time. */
const BATCH_BYTES = 4 * MiB;

/** The bytes of a shadow write, a few MiB at a time, in the order of its ranges. Writes nothing. */
export async function* shadowBatches(
  source: BlockSource,
  write: ShadowWrite,
): AsyncGenerator<readonly WriteRequest[]> {
  if (write.kind === 'literal') {
    yield [write];
    return;
  }
  const perBatch = Math.max(1, Math.floor(BATCH_BYTES / write.tableBytes));
  for (let first = 0; first < write.targets.length; first += perBatch) {
    const end = Math.min(first + perBatch, write.targets.length);
    yield await makeTables(source, write, first, end);
  }
}

async function makeTables(
  source: BlockSource,
  write: TableWrites,
  first: number,
  end: number,
): Promise<readonly WriteRequest[]> {
  const memory = new Uint8Array((end - first) * write.tableBytes);
  const tables: Uint8Array[] = [];
  for (let i = first; i < end; i++) {
    const from = (i - first) * write.tableBytes;
    tables.push(memory.subarray(from, from + write.tableBytes));
  }
  const { sources } = write;
  if (sources !== undefined) {
    const reads: ReadRequest[] = tables.map((into, i) => ({ at: sources[first + i]!, into }));
    await source.readBatch(reads);
  }
  tables.forEach((table, i) => {
    write.fill(first + i, table);
  });
  return tables.map((bytes, i) => ({ at: write.targets[first + i]!, bytes }));
}
