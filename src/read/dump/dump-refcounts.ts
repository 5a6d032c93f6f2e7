import { hex, wordsInPlace } from '../../base/words.js';
import { offsetOf, type TableFormat } from '../../l1l2/entry.js';
import { LIMITS } from '../../qcow2/limits.js';
import { decodeRefcounts } from '../../refcount/block.js';
import type { DumpedField } from './dumped.js';
import { readPiece, type DumpableImage } from './dumpable.js';
import { EntryRuns } from './entry-runs.js';
import { dumpTable, formatOf, missing, notRead } from './dump-tables.js';
import { saidRefcountTableEntry } from './table-entries.js';

const TABLE = { part: 'refcounts', structure: 'refcount table' } as const;

/** The refcount table, and each block that it leads to once. Entries of blocks are numbered by host clusters. */
export async function* dumpRefcounts(
  image: DumpableImage,
  every: boolean,
): AsyncGenerator<readonly DumpedField[]> {
  const { raw, source, fileSizeBytes } = image;
  const format = formatOf(image);
  if (raw.version === 1) return;
  if (format === undefined) {
    const expected = 'cluster_bits and refcount_order that can be right';
    yield [notRead(TABLE, 0, 'how long a cluster is, is not known', expected)];
    return;
  }
  const { clusterBytes } = format.geometry;
  const at = Number(raw.refcountTableAt);
  const bytes = raw.refcountTableClusters * clusterBytes;
  const most = LIMITS.refcountTableBytesMax.value;
  const isInFile = at > 0 && at < fileSizeBytes && at % clusterBytes === 0;
  if (!isInFile || bytes > most || bytes === 0) {
    const text = `${raw.refcountTableClusters} clusters at ${hex(raw.refcountTableAt)}`;
    yield [
      notRead(
        TABLE,
        at,
        text,
        `1 to ${most / clusterBytes} clusters at a cluster boundary in the file`,
      ),
    ];
    return;
  }
  yield* dumpTable(image, {
    of: { ...TABLE, step: clusterBytes, every },
    at,
    entries: bytes / 8,
    say: (high, low) => saidRefcountTableEntry(high, low, format),
  });
  const stored = await readPiece(source, fileSizeBytes, at, bytes);
  const words = wordsInPlace(stored.slice(0, stored.length & ~7));
  const seen = new Set<number>();
  for (let i = 0; i < words.length; i += 2) {
    const blockAt = offsetOf(words[i]!, words[i + 1]!);
    if (blockAt === 0 || blockAt % clusterBytes !== 0 || blockAt >= fileSizeBytes) continue;
    if (seen.has(blockAt)) continue;
    seen.add(blockAt);
    yield* dumpBlock(image, format, i / 2, blockAt, every);
  }
}

/** A multiple of 8, so that each turn begins with a byte. */
const ENTRIES_AT_ONCE = 65_536;

/** Spec: Refcount block entry. */
async function* dumpBlock(
  { source, fileSizeBytes }: DumpableImage,
  { geometry }: TableFormat,
  index: number,
  at: number,
  every: boolean,
): AsyncGenerator<readonly DumpedField[]> {
  const { clusterBytes, refcountBits, refcountBlockEntries } = geometry;
  const structure = `refcount block ${index} at ${hex(at)}`;
  const of = { part: 'refcounts', structure, step: 0, every } as const;
  const stored = await readPiece(source, fileSizeBytes, at, clusterBytes);
  const there = Math.floor((stored.length * 8) / refcountBits);
  const runs = new EntryRuns(of);
  const first = index * refcountBlockEntries;
  // A cluster may have millions of refcounts.
  for (let from = 0; from < there; from += ENTRIES_AT_ONCE) {
    const counts = new Uint32Array(Math.min(ENTRIES_AT_ONCE, there - from));
    decodeRefcounts(stored.subarray((from * refcountBits) / 8), refcountBits, counts);
    for (const [i, count] of counts.entries()) {
      const byte = Math.floor(((from + i) * refcountBits) / 8);
      const bytes = stored.subarray(byte, byte + Math.max(1, refcountBits / 8));
      runs.add(first + from + i, at + byte, bytes, { kind: `refcount ${count}` });
    }
    yield runs.taken();
  }
  yield runs.finish();
  if (there < refcountBlockEntries) {
    const cut = missing(of, at, 0, refcountBlockEntries - there, refcountBits / 8);
    const entries = { first: first + there, last: first + refcountBlockEntries - 1 };
    const name = `entries ${entries.first}-${entries.last}`;
    yield [{ ...cut, at: at + stored.length, length: clusterBytes - stored.length, name, entries }];
  }
}
