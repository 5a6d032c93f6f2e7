import { throwIfAborted } from '../../base/abort.js';
import { isZero } from '../../base/bytes.js';
import type { NewHasher } from '../../base/hasher.js';
import { bytesOfWords } from '../../base/words.js';
import { QsnapError } from '../../errors.js';
import { readAhead } from '../../io/read-ahead.js';
import { COMPRESSED, compressedExtent, offsetOf, ZERO_FLAG } from '../../l1l2/entry.js';
import { l1EntriesFor } from '../../qcow2/geometry.js';
import type { DiskCipher } from '../../read/guest/layer.js';
import type { Decompressor } from '../../read/guest/platform.js';
import { walkTables } from '../../refs/tables.js';
import type { CompactDisk } from './compact-options.js';
import type { SourceTables } from './source-tables.js';
import { stepsOf, type StepItem } from './steps.js';
import { holdsData, type Survey } from './survey.js';

/** What content is read and hashed with. */
export interface DigestOptions {
  readonly newHasher: NewHasher;
  readonly decompressor: Decompressor | undefined;
  readonly cipher: DiskCipher | undefined;
  readonly onBytes: (bytes: number) => void;
  readonly signal: AbortSignal | undefined;
}

/**
 * Hashes what each disk holds, and its VM state. Where nothing else could show below the image, zeros count the same
 * however they are kept; over a backing file zeros differ from what is left to it.
 *
 * Every cluster is read once: 64 bits of its SHA-256 stand for it in the hash of a table, and the hash of a table in
 * that of a disk.
 *
 * @throws QsnapError READ_FAILED, CLUSTER_DATA_INVALID, UNSUPPORTED_COMPRESSION, ABORTED.
 */
export async function digestDisks(
  source: SourceTables,
  survey: Survey,
  options: DigestOptions,
): Promise<readonly CompactDisk[]> {
  const units = await digestUnits(source, survey, options);
  const tables = await digestTables(source, units, options);
  const { geometry } = source.format;
  return source.disks.map(({ snapshot, diskSizeBytes, l1 }) => {
    const end = l1EntriesFor(diskSizeBytes, geometry);
    const hashOf = (from: number, to: number): string => {
      const hasher = options.newHasher();
      for (let i = from; i < to; i++) {
        const at = offsetOf(l1[2 * i]!, l1[2 * i + 1]!);
        const hash = at === 0 ? '' : tables[source.indexes.get(at)!]!;
        if (hash !== '') hasher.update(textBytes(`${i - from} ${hash}\n`));
      }
      return hasher.digest();
    };
    const entries = l1.length / 2;
    const hasVmState = (snapshot?.vmStateBytes ?? 0) > 0;
    return {
      ...{ snapshot, diskSizeBytes },
      contentHash: hashOf(0, Math.min(end, entries)),
      vmStateHash: hasVmState ? hashOf(end, entries) : undefined,
    };
  });
}

const textBytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A hash for every unit: a cluster, or a subcluster where there are any. Zeros have 0. */
interface UnitHashes {
  readonly perCluster: number;
  /** By unit of the file, two words each. */
  readonly plain: Uint32Array;
  /** By compressed cluster and unit of it. */
  readonly packed: Uint32Array;
  readonly survey: Survey;
}

async function digestUnits(
  source: SourceTables,
  survey: Survey,
  options: DigestOptions,
): Promise<UnitHashes> {
  const { format, scan } = source;
  const perCluster = scan.stride === 4 ? 32 : 1;
  const plain = new Uint32Array(format.fileClusters * perCluster * 2);
  const packed = new Uint32Array(survey.packed.length * perCluster * 2);
  for await (const items of readAhead(stepsOf(source, survey))) {
    throwIfAborted(options.signal, 'the comparison');
    const unpacked = await unpackedOf(source, items, options);
    for (const item of items) {
      if (item.kind === 'table') continue;
      const { bytes } = item;
      if (item.kind === 'cluster') {
        const { cluster } = item;
        if (options.cipher !== undefined) {
          options.cipher.decrypt(bytes, (cluster * format.geometry.clusterBytes) / 512);
        }
        putHashes(bytes, plain, cluster * perCluster, perCluster, options.newHasher);
      } else {
        const whole = unpacked.get(item.index)!;
        putHashes(whole, packed, item.index * perCluster, perCluster, options.newHasher);
      }
      options.onBytes(bytes.length);
    }
  }
  return { perCluster, plain, packed, survey };
}

/** The content of the compressed clusters among the items, by their index. */
export async function unpackedOf(
  { image, format }: SourceTables,
  items: readonly StepItem[],
  { decompressor }: Pick<DigestOptions, 'decompressor'>,
): Promise<ReadonlyMap<number, Uint8Array>> {
  const found = items.flatMap((item) => (item.kind === 'packed' ? [item] : []));
  const unpacked = new Map<number, Uint8Array>();
  if (found.length === 0) return unpacked;
  const { compressionType } = image.header;
  const { clusterBytes } = format.geometry;
  if (decompressor === undefined) {
    throw new QsnapError(
      'UNSUPPORTED_COMPRESSION',
      `clusters are compressed by ${compressionType}, and nothing here unpacks that`,
      {
        actual: compressionType,
        hint: 'give a decompressor: qsnap/node and qsnap/web have one',
      },
    );
  }
  const packed = found.map(({ bytes }) => bytes);
  const contents = await decompressor.decompress(compressionType, packed, clusterBytes);
  for (const [i, { index }] of found.entries()) {
    const bytes = contents[i];
    if (bytes === undefined) {
      throw new QsnapError('CLUSTER_DATA_INVALID', 'a compressed cluster can not be unpacked', {
        structure: 'compressed cluster',
        expected: `${clusterBytes} bytes packed by ${compressionType}`,
      });
    }
    unpacked.set(index, bytes);
  }
  return unpacked;
}

function putHashes(
  bytes: Uint8Array,
  into: Uint32Array,
  firstUnit: number,
  units: number,
  newHasher: NewHasher,
): void {
  const unitBytes = bytes.length / units;
  for (let unit = 0; unit < units; unit++) {
    const part = bytes.subarray(unit * unitBytes, (unit + 1) * unitBytes);
    if (isZero(part)) continue;
    const hasher = newHasher();
    hasher.update(part);
    const digest = hasher.digest();
    const word = (firstUnit + unit) * 2;
    into[word] = Number.parseInt(digest.slice(0, 8), 16);
    // Not all words may be 0, which is for zeros.
    into[word + 1] = Number.parseInt(digest.slice(8, 16), 16) | 1;
  }
}

/** By table: the hash of what it maps, in hex; empty where nothing is there. */
async function digestTables(
  source: SourceTables,
  units: UnitHashes,
  { newHasher, signal }: DigestOptions,
): Promise<readonly string[]> {
  const { image, tables, format } = source;
  const hashes: string[] = [];
  const hasBacking = image.backingNameBytes !== undefined;
  const { l2Entries, clusterBytes } = format.geometry;
  const records = new Uint32Array(l2Entries * units.perCluster * 3);
  await walkTables(image.source, tables, clusterBytes, (table, words) => {
    throwIfAborted(signal, 'the comparison');
    const used = fillRecords(words, source, units, hasBacking, records);
    const hasher = newHasher();
    hasher.update(bytesOfWords(records.subarray(0, used)));
    hashes[table] = used === 0 ? '' : hasher.digest();
  });
  return hashes;
}

/** One record for each unit of the table that is not left out: its index and its hash. */
function fillRecords(
  words: Uint32Array,
  { scan, format }: SourceTables,
  { perCluster, plain, packed, survey }: UnitHashes,
  hasBacking: boolean,
  records: Uint32Array,
): number {
  const { stride } = scan;
  const { clusterBytes, clusterBits } = format.geometry;
  let used = 0;
  const put = (unit: number, hashes: Uint32Array, from: number): void => {
    const [first, second] = from < 0 ? [0, 0] : [hashes[2 * from]!, hashes[2 * from + 1]!];
    if ((first | second) === 0 && !hasBacking) return;
    records.set([unit, first, second], used);
    used += 3;
  };
  for (let i = 0, entry = 0; i < words.length; i += stride, entry++) {
    const [high, low] = [words[i]!, words[i + 1]!];
    const isPacked = (high & COMPRESSED) !== 0;
    const hashes = isPacked ? packed : plain;
    let first = -1;
    if (isPacked) first = survey.packed.indexOf(compressedExtent(high, low, clusterBits).at);
    else if (holdsData(words, i, stride)) first = offsetOf(high, low) / clusterBytes;
    for (let sub = 0; sub < perCluster; sub++) {
      const unit = entry * perCluster + sub;
      const isZero = stride === 2 ? (low & ZERO_FLAG) !== 0 : ((words[i + 2]! >>> sub) & 1) !== 0;
      const isData =
        isPacked || (first >= 0 && (stride === 2 || ((words[i + 3]! >>> sub) & 1) !== 0));
      if (isData) put(unit, hashes, first * perCluster + sub);
      else if (isZero) put(unit, hashes, -1);
    }
  }
  return used;
}
