import { throwIfAborted } from '../../base/abort.js';
import { isZero } from '../../base/bytes.js';
import type { WriteRequest } from '../../io/device.js';
import { readAhead } from '../../io/read-ahead.js';
import type { CompressionType } from '../../qcow2/header.js';
import type { DiskCipher } from '../../read/guest/layer.js';
import type { Compressor, Decompressor } from '../../read/guest/platform.js';
import { dataRanges, zeroRule } from '../copy/zero-ranges.js';
import type { WriteQueue } from '../new/write-queue.js';
import type { IsEqual } from './equal-contents.js';
import type { Placement } from './placement.js';
import type { SourceTables } from './source-tables.js';
import { stepsOf, type StepItem } from './steps.js';
import type { Survey } from './survey.js';
import { unpackedOf } from './unpacked.js';

/** Zeros of this length are left out of the file, as in any copy. */
const ZEROS = zeroRule(4096);

/** How clusters are copied. */
export interface DataRules {
  readonly dropZeros: boolean;
  readonly compress:
    { readonly type: CompressionType; readonly compressor: Compressor } | undefined;
  /** Of clusters that are encrypted by their place. */
  readonly cipher: DiskCipher | undefined;
  readonly decompressor: Decompressor | undefined;
  /** For clusters that were compressed and get another size. */
  readonly compressor: Compressor | undefined;
  /** Equal clusters of other sizes are looked for. */
  readonly dedupe: boolean;
  readonly isEqual: IsEqual | undefined;
  readonly onBytes: (bytes: number) => void;
  readonly signal: AbortSignal | undefined;
}

/** What the copied clusters amount to. */
export interface DataTotals {
  readBytes: number;
  dataBytes: number;
  zeroClusters: number;
  dedupedClusters: number;
  compressedClusters: number;
  packedBytes: number;
}

/** All that is zero. */
export function noTotals(): DataTotals {
  return {
    readBytes: 0,
    dataBytes: 0,
    zeroClusters: 0,
    dedupedClusters: 0,
    compressedClusters: 0,
    packedBytes: 0,
  };
}

/**
 * Reads every cluster once, gives it a place, and writes it there. Tables get a place behind what they are the first
 * to lead to, and are written later.
 *
 * @throws QsnapError READ_FAILED, WRITE_FAILED, NO_SPACE, LIMIT_EXCEEDED, REFCOUNT_OVERFLOW, ABORTED, and what
 *   unpacking throws.
 */
export async function copyData(
  source: SourceTables,
  survey: Survey,
  placement: Placement,
  queue: WriteQueue,
  rules: DataRules,
): Promise<DataTotals> {
  const totals = noTotals();
  let writing: Promise<void> = Promise.resolve();
  try {
    for await (const items of readAhead(stepsOf(source, survey))) {
      throwIfAborted(rules.signal, 'the compaction');
      const loaded = await contentsOf(source, survey, items, rules);
      const requests = placed(loaded, placement, rules, totals);
      for (const { bytes } of requests) totals.dataBytes += bytes.length;
      const readBytes = items.reduce((sum, item) => sum + bytesIn(item), 0);
      totals.readBytes += readBytes;
      await writing;
      writing = queue.inTurn([requests]).then(() => {
        rules.onBytes(readBytes);
      });
      // Its error is taken by the `await` of the next round or below.
      writing.catch(() => undefined);
    }
    await writing;
  } finally {
    await writing.catch(() => undefined);
  }
  return totals;
}

function bytesIn(item: StepItem): number {
  return item.kind === 'table' ? 0 : item.bytes.length;
}

/** An item with what becomes of it. */
type Content =
  | Extract<StepItem, { kind: 'table' }>
  | ({ readonly of: 'cluster' | 'packed'; readonly number: number } & (
      { readonly kind: 'zeros' } | { readonly kind: 'plain' | 'packed'; readonly bytes: Uint8Array }
    ));

/** Decrypts, unpacks and compresses as far as it is asked for. */
async function contentsOf(
  source: SourceTables,
  survey: Survey,
  items: readonly StepItem[],
  rules: DataRules,
): Promise<readonly Content[]> {
  const { dropZeros, compress, cipher } = rules;
  const { compressionType } = source.image.header;
  const { clusterBytes } = source.format.geometry;
  const isRepacked = compress !== undefined && compress.type !== compressionType;
  const looksInside = dropZeros || isRepacked;
  const unpacked = looksInside
    ? await unpackedOf(source, items, survey.packed.at, rules.decompressor)
    : undefined;
  const contents = items.map((item): Content => {
    if (item.kind === 'table') return item;
    if (item.kind === 'packed') {
      const of = { of: 'packed', number: item.index } as const;
      const whole = unpacked?.get(item.index);
      if (dropZeros && isZero(whole!)) return { kind: 'zeros', ...of };
      if (isRepacked) return { kind: 'plain', bytes: whole!, ...of };
      return { kind: 'packed', bytes: item.bytes, ...of };
    }
    cipher?.decrypt(item.bytes, (item.cluster * clusterBytes) / 512);
    const of = { of: 'cluster', number: item.cluster } as const;
    if (dropZeros && isZero(item.bytes)) return { kind: 'zeros', ...of };
    return { kind: 'plain', bytes: item.bytes, ...of };
  });
  if (compress === undefined) return contents;
  return compressed(contents, survey, compress);
}

async function compressed(
  contents: readonly Content[],
  { partial }: Survey,
  { type, compressor }: NonNullable<DataRules['compress']>,
): Promise<readonly Content[]> {
  const plain = contents.flatMap((content) => {
    if (content.kind !== 'plain') return [];
    // A compressed cluster has no subclusters that are not allocated.
    const isPartial =
      content.of === 'cluster' && partial.clusters > 0 && partial.has(content.number);
    return isPartial ? [] : [content];
  });
  if (plain.length === 0) return contents;
  const packed = await compressor.compress(
    type,
    plain.map(({ bytes }) => bytes),
  );
  const smaller = new Map(plain.map((content, i) => [content as Content, packed[i]]));
  return contents.map((content) => {
    const bytes = smaller.get(content);
    return bytes === undefined ? content : ({ ...content, kind: 'packed', bytes } as Content);
  });
}

/** Gives every item its place, in order. Returns what is written. */
function placed(
  contents: readonly Content[],
  placement: Placement,
  { cipher }: DataRules,
  totals: DataTotals,
): WriteRequest[] {
  const requests: WriteRequest[] = [];
  for (const content of contents) {
    if (content.kind === 'table') {
      placement.placeTable(content.table, content.words);
    } else if (content.kind === 'zeros') {
      totals.zeroClusters += 1;
      if (content.of === 'cluster') placement.leaveOut(content.number);
      else placement.leaveOutPacked(content.number);
    } else if (content.kind === 'packed') {
      const { of, number, bytes } = content;
      totals.compressedClusters += 1;
      totals.packedBytes += bytes.length;
      const at =
        of === 'cluster'
          ? placement.packCluster(number, bytes.length)
          : placement.placePacked(number, bytes.length);
      requests.push({ at, bytes });
    } else {
      const { of, number, bytes } = content;
      const at = of === 'cluster' ? placement.placeCluster(number) : placement.unpack(number);
      cipher?.encrypt(bytes, at / 512);
      requests.push(...withoutZeros(at, bytes));
    }
  }
  return requests;
}

/** Writes bytes, but for long runs of zeros. */
export function withoutZeros(at: number, bytes: Uint8Array): WriteRequest[] {
  return dataRanges(bytes, at, ZEROS).map(({ from, to }) => {
    return { at: from, bytes: bytes.subarray(from - at, to - at) };
  });
}
