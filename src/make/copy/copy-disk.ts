import { assert } from '../../base/assert.js';
import { printableText } from '../../base/text.js';
import { newIoBytes } from '../../base/io-bytes.js';
import type { GuestDisk } from '../../read/guest/disk.js';
import type { Compressor } from '../../read/guest/platform.js';
import { invalidOption } from '../new/new-image.js';
import type { ImageWriter } from '../new/image-writer.js';
import type { CompressionType } from '../../qcow2/header.js';
import { throwIfAborted } from '../../base/abort.js';
import type { Content, ContentListener } from './content.js';
import { readAhead } from '../../io/read-ahead.js';
import { settled } from '../../io/settled.js';
import { stepsOf, type CopyRange, type StepRule } from './copy-steps.js';
import { noTotals, writesOf, type LoadedRun, type WriteRule, type WriteTotals } from './writes.js';
import { zeroRule } from './zero-ranges.js';

/** What a copy leaves out, and whom it tells. */
export interface CopyOptions {
  /**
   * Runs of zeros inside data that are at least this long are left out (default 4096, as in
   * `qemu-img convert`); 0: all data is written, whatever it is.
   */
  readonly zeroRunBytes?: number | undefined;
  /** Write every byte of the disk that the backing file does not have, zeros too: `qemu-img convert -S 0`. */
  readonly everything?: boolean | undefined;
  /** Compress clusters; what doesn't shrink is written as it is. For writers that take it. */
  readonly compress?:
    { readonly type: CompressionType; readonly compressor: Compressor } | undefined;
  /**
   * The new image has a backing file: the disk's layer of this depth. The copy leaves out guest data of this layer and
   * of those below. Zeros of the layers above are written as zeros.
   */
  readonly below?: number | undefined;
  /** Zeros are written as zeros even where nothing else could show: `qemu-img convert -n`. */
  readonly explicitZeros?: boolean | undefined;
  /** Guest bytes that are done, and of the whole disk. */
  readonly onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
  /** Is told all guest bytes in order. Not together with `below`. */
  readonly onContent?: ContentListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a copy did, in guest bytes but for `packedBytes`. */
export interface CopyReport {
  readonly diskBytes: number;
  /** Guest bytes that were read: the rest was known to be zero, or left to the backing file. */
  readonly readBytes: number;
  /** Written as they are. */
  readonly dataBytes: number;
  /** Left out or written as zeros. */
  readonly zeroBytes: number;
  /** Left to the backing file. */
  readonly keptBytes: number;
  readonly compressedClusters: number;
  /** Guest bytes in compressed clusters. */
  readonly compressedBytes: number;
  /** What compressed clusters take. */
  readonly packedBytes: number;
}

/** Steps that hold bytes at a time: one is read, one looked through, one written. */
const STEPS_AT_ONCE = 3;

/**
 * Copies a virtual disk to a new image, from its first byte to its last. The next data is read
 * while the last is looked through and written. `writer.finish` is for the caller to call.
 *
 * ```ts
 * const writer = await newRawWriter(device, disk.sizeBytes);
 * const { dataBytes, zeroBytes } = await copyDisk(disk.guest, writer, {
 *   onProgress: (done, total) => console.log(done / total),
 * });
 * await writer.finish();
 * ```
 *
 * @throws QsnapError NEW_IMAGE_INVALID for a compressor of another type than the new image has; ABORTED; what the disk, the compressor and the writer throw. Nothing goes on
 *   afterwards but perhaps a flush of what was written.
 */
export async function copyDisk(
  disk: GuestDisk,
  writer: ImageWriter,
  options: CopyOptions = {},
): Promise<CopyReport> {
  const { signal, onContent, onProgress } = options;
  const diskBytes = await disk.sizeBytes();
  const { stepRule, writeRule } = rulesOf(disk, writer, diskBytes, options);
  const totals = noTotals();
  let readBytes = 0;
  let writing: Promise<void> = Promise.resolve();
  try {
    for await (const runs of readAhead(loadedSteps(disk, stepRule))) {
      throwIfAborted(signal, 'the copy');
      readBytes += runs.reduce((sum, { bytes }) => sum + bytes.length, 0);
      const told = onContent?.(contentsOf(runs));
      const writes = await writesAndContent(runs, writeRule, totals, told);
      await writing;
      throwIfAborted(signal, 'the copy');
      const doneBytes = runs.at(-1)!.to;
      writing = writer.writeBatch(writes).then(() => onProgress?.(doneBytes, diskBytes));
      // Its error is taken by the `await` of the next round or below.
      writing.catch(() => undefined);
    }
    await writing;
    throwIfAborted(signal, 'the copy');
  } finally {
    await writing.catch(() => undefined);
  }
  return { diskBytes, readBytes, ...totals };
}

/** Both are waited for, whichever fails. */
async function writesAndContent(
  runs: readonly LoadedRun[],
  rule: WriteRule,
  totals: WriteTotals,
  told: Promise<void> | undefined,
): ReturnType<typeof writesOf> {
  const [writes] = await settled([writesOf(runs, rule, totals), told]);
  return writes;
}

function rulesOf(
  disk: GuestDisk,
  writer: ImageWriter,
  diskBytes: number,
  options: CopyOptions,
): { stepRule: StepRule; writeRule: WriteRule } {
  const { below, compress, onContent } = options;
  const unitBytes = compress === undefined ? writer.unitBytes : writer.clusterBytes;
  const everything = options.everything === true;
  const zeroRunBytes = everything ? 0 : (options.zeroRunBytes ?? 4096);
  assert(compress === undefined || writer.takesCompressed, 'this format has compressed clusters');
  if (compress !== undefined) refuseOtherType(compress.type, writer);
  assert(below === undefined || onContent === undefined, 'the whole content is read');
  return {
    stepRule: { unitBytes, below, everything, compressed: compress !== undefined },
    writeRule: {
      unitBytes,
      diskBytes,
      zeros: zeroRunBytes === 0 ? undefined : zeroRule(zeroRunBytes),
      backing: below === undefined ? undefined : disk.chain[below - 1],
      explicitZeros: below !== undefined || options.explicitZeros === true,
      compress,
    },
  };
}

/** Nobody could read such clusters: one type is true of the whole image. */
function refuseOtherType(type: unknown, { compressionType }: ImageWriter): void {
  if (compressionType === undefined || type === compressionType) return;
  const message = `the new image has clusters that ${compressionType} unpacks, not "${printableText(String(type))}"`;
  const details = { expected: compressionType, actual: String(type) };
  throw invalidOption('compression type', message, details);
}

/** The steps of a disk with their bytes, in memory that is used again three steps later. */
async function* loadedSteps(disk: GuestDisk, rule: StepRule): AsyncGenerator<LoadedRun[]> {
  const memories = Array.from({ length: STEPS_AT_ONCE }, () => new Uint8Array(0));
  let turn = 0;
  for await (const runs of stepsOf(disk, rule)) {
    const bytes = runs.reduce((sum, { action, from, to }) => {
      return action === 'copy' ? sum + to - from : sum;
    }, 0);
    if (memories[turn]!.length < bytes) memories[turn] = newIoBytes(bytes);
    const loaded = placedIn(memories[turn]!, runs);
    const requests = loaded.filter(({ action }) => action === 'copy');
    await disk.readBatch(requests.map(({ from, bytes: into }) => ({ at: from, into })));
    yield loaded;
    turn = (turn + 1) % STEPS_AT_ONCE;
  }
}

function placedIn(memory: Uint8Array, runs: readonly CopyRange[]): LoadedRun[] {
  let used = 0;
  return runs.map((run) => {
    const start = used;
    if (run.action === 'copy') used += run.to - run.from;
    return { ...run, bytes: memory.subarray(start, used) };
  });
}

function contentsOf(runs: readonly LoadedRun[]): Content[] {
  return runs.map(({ action, from, to, bytes }) => {
    return action === 'copy' ? { kind: 'bytes', bytes } : { kind: 'zeros', length: to - from };
  });
}
