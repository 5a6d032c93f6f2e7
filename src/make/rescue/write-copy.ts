import { newIoBytes } from '../../base/io-bytes.js';
import { MiB, roundUp } from '../../base/units.js';
import { bytesOfWords, HIGH_WORD, storedWords, swapWords } from '../../base/words.js';
import { throwIfAborted } from '../../base/abort.js';
import { dataRanges, zeroRule } from '../copy/zero-ranges.js';
import type { BlockDevice, WriteRequest } from '../../io/device.js';
import { refuseOneDevice, refuseUsedFile } from '../../io/new-device.js';
import { EarlyFlushes } from '../../io/early-flushes.js';
import { walkTables } from '../../refs/tables.js';
import { setCopied } from '../../l1l2/scan.js';
import { clearStoredCopied } from '../../l1l2/stored-scan.js';
import { BlockGroups } from '../../refcount/block-groups.js';
import { encodeCopyHeader, encodeCopySnapshots, snapshotEntries } from './copy-header.js';
import { l1WordsOf, layOut, type CopyLayout } from './layout.js';
import type { RescuedDisk, RescuePlan } from './rescue-plan.js';
import type { ScanWatch } from '../../read/scan/look-through.js';
import { encodeSnapshotTable } from '../../qcow2/snapshot-table.js';

/** Bytes of guest data that are read at a time. */
const BATCH_BYTES = 4 * MiB;
/** Zeros of this length are left out, as in any copy. */
const ZEROS = zeroRule(4096);

/** What a rescue wrote. */
export interface RescueReport {
  readonly fileSizeBytes: number;
  /** Bytes of guest data in the copy, zeros left out. */
  readonly dataBytes: number;
}

/**
 * Writes a new, sound image of the chosen disks: their guest data where it lay in the damaged file, and
 * new tables behind it. The header comes last, when all else is on the medium.
 *
 * ```ts
 * const plan = await planRescue(device);
 * const copy = await createNewFile('rescued.qcow2');
 * const { dataBytes } = await writeRescued(plan, chooseRescued(plan), copy);
 * await copy.close();
 * ```
 *
 * @param device an empty file.
 * @throws QsnapError OUTPUT_EXISTS, OUTPUT_IS_INPUT, REFCOUNT_OVERFLOW, LIMIT_EXCEEDED, READ_FAILED, WRITE_FAILED, NO_SPACE, ABORTED.
 */
export async function writeRescued(
  plan: RescuePlan,
  disks: readonly RescuedDisk[],
  device: BlockDevice,
  options: ScanWatch = {},
): Promise<RescueReport> {
  await refuseOneDevice(plan.evidence.source, device);
  await refuseUsedFile(device, 'a rescued image');
  const { layout, head } = await foreseen(plan, disks);
  const early = new EarlyFlushes(device);
  const write = async (requests: readonly WriteRequest[]): Promise<void> => {
    throwIfAborted(options.signal, 'the rescue');
    await device.writeBatch(requests);
    early.afterWriting(requests.reduce((sum, { bytes }) => sum + bytes.length, 0));
  };
  const dataBytes = await copyData(layout, write, options);
  await writeTables(layout, write);
  await writeMetadata(layout, write);
  const fileSizeBytes = layout.endCluster * layout.geometry.clusterBytes;
  await device.truncate(fileSizeBytes);
  await early.done();
  await device.flush();
  await device.writeBatch([{ at: 0, bytes: head }]);
  await device.flush();
  return { fileSizeBytes, dataBytes };
}

/**
 * Finds out whether a copy of the chosen disks can be made, and writes nothing.
 *
 * @throws QsnapError REFCOUNT_OVERFLOW, LIMIT_EXCEEDED, READ_FAILED, as `writeRescued` would.
 */
export async function foreseeRescued(
  plan: RescuePlan,
  disks: readonly RescuedDisk[],
): Promise<void> {
  await foreseen(plan, disks);
}

async function foreseen(
  plan: RescuePlan,
  disks: readonly RescuedDisk[],
): Promise<{ readonly layout: CopyLayout; readonly head: Uint8Array }> {
  // Entries of version 3 are the longest.
  const entries = snapshotEntries(disks, 3);
  const layout = await layOut(plan, disks, encodeSnapshotTable(entries).length);
  return { layout, head: encodeCopyHeader(layout) };
}

type Write = (requests: readonly WriteRequest[]) => Promise<void>;

/** Copies every cluster that is referred to; what lies between is a hole in the copy. */
async function copyData(
  { plan, counts, dataClusters, geometry }: CopyLayout,
  write: Write,
  { onProgress }: ScanWatch,
): Promise<number> {
  const { source } = plan.evidence;
  const { clusterBytes } = geometry;
  const most = Math.max(1, Math.floor(BATCH_BYTES / clusterBytes));
  const buffers = [0, 1].map(() => newIoBytes(most * clusterBytes));
  let turn = 0;
  let dataBytes = 0;
  let writing: Promise<void> = Promise.resolve();
  try {
    for (let first = nextInUse(counts, 1, dataClusters); first < dataClusters;) {
      let end = first + 1;
      while (end < dataClusters && end - first < most && counts.get(end) > 0) end += 1;
      const bytes = buffers[turn++ % 2]!.subarray(0, (end - first) * clusterBytes);
      const at = first * clusterBytes;
      await source.readBatch([{ at, into: bytes }]);
      const requests = requestsOf(bytes, at);
      dataBytes += requests.reduce((sum, request) => sum + request.bytes.length, 0);
      await writing;
      writing = requests.length === 0 ? Promise.resolve() : write(requests);
      // The next read may fail first; what is being written is waited for all the same.
      writing.catch(() => undefined);
      onProgress?.(end * clusterBytes, dataClusters * clusterBytes);
      first = nextInUse(counts, end, dataClusters);
    }
    await writing;
  } finally {
    await writing.catch(() => undefined);
  }
  return dataBytes;
}

/** What of some clusters is written: all but long runs of zeros. */
function requestsOf(bytes: Uint8Array, at: number): WriteRequest[] {
  return dataRanges(bytes, at, ZEROS).map(({ from, to }) => {
    return { at: from, bytes: bytes.subarray(from - at, to - at) };
  });
}

function nextInUse(counts: CopyLayout['counts'], from: number, end: number): number {
  let cluster = from;
  while (cluster < end) {
    const used = counts.usedAt(cluster >>> 5) & (-1 << (cluster & 31));
    if (used !== 0) return Math.min(end, (cluster & ~31) + 31 - Math.clz32(used & -used));
    cluster = roundUp(cluster + 1, 32);
  }
  return end;
}

async function writeTables(layout: CopyLayout, write: Write): Promise<void> {
  const { plan, tables, newTables, copier, counts, geometry, zeroTables, zeroTablesAt } = layout;
  const { source, scan } = plan.evidence;
  const { clusterBytes } = geometry;
  let batch: WriteRequest[] = [];
  const flush = async (): Promise<void> => {
    const requests = batch;
    batch = [];
    if (requests.length > 0) await write(requests);
  };
  const perBatch = Math.max(1, Math.floor(BATCH_BYTES / clusterBytes));
  for (let first = 0; first < tables.length; first += perBatch) {
    const some = tables.subarray(first, first + perBatch);
    await walkTables(source, some, clusterBytes, (i, words) => {
      const at = some[i]!;
      const copy = words.slice();
      copier.mend(copy, at, plan.mended.get(at), () => undefined);
      setCopied(copy, scan, counts);
      const bytes = bytesOfWords(copy);
      // Flags of tables that only snapshots have mean nothing.
      if (layout.isActive[first + i] === 0) clearStoredCopied(bytes, scan);
      batch.push({ at: newTables[first + i]!, bytes });
    });
    await flush();
  }
  for (let i = 0; i < zeroTables; i++) {
    const words = new Uint32Array(clusterBytes / 4);
    copier.fillZeros(words);
    batch.push({ at: zeroTablesAt + i * clusterBytes, bytes: bytesOfWords(words) });
    if (batch.length === perBatch) await flush();
  }
  await flush();
}

async function writeMetadata(layout: CopyLayout, write: Write): Promise<void> {
  const { l1s, snapshotTable, refcountTable, refcountBlocks, counts, geometry } = layout;
  const { clusterBytes, refcountBlockEntries, refcountBits } = geometry;
  for (const [disk, { at, bytes }] of l1s.entries()) {
    if (bytes > 0)
      await write([{ at, bytes: padded(bytesOfWords(l1WordsOf(layout, disk)), clusterBytes) }]);
  }
  if (snapshotTable.bytes > 0) {
    await write([
      { at: snapshotTable.at, bytes: padded(encodeCopySnapshots(layout), clusterBytes) },
    ]);
  }
  const groups = new BlockGroups(refcountBits);
  for (const [block, at] of refcountBlocks.entries()) {
    if (at === 0) continue;
    const bytes = new Uint8Array(clusterBytes);
    groups.encodeBlock(counts, (block * refcountBlockEntries) / 32, storedWords(bytes));
    await write([{ at, bytes }]);
  }
  const table = new Uint32Array(refcountBlocks.length * 2);
  refcountBlocks.forEach((at, block) => {
    table[2 * block] = Math.floor(at / HIGH_WORD);
    table[2 * block + 1] = at % HIGH_WORD;
  });
  swapWords(table);
  const bytes = new Uint8Array(table.buffer);
  await write([{ at: refcountTable.at, bytes }]);
}

function padded(bytes: Uint8Array, clusterBytes: number): Uint8Array {
  const whole = new Uint8Array(roundUp(bytes.length, clusterBytes));
  whole.set(bytes);
  return whole;
}
