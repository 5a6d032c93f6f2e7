import { newIoBytes } from '../../base/io-bytes.js';
import { MiB } from '../../base/units.js';
import type { L2Tables, LoadedTables } from './l2-tables.js';

/** Bytes of L2 tables that are read together. */
const BATCH_BYTES = 4 * MiB;
/** Bounds a batch where many pieces need no table. */
const BATCH_PIECES = 4096;

/** Pieces of a disk, with the L2 tables that they need. */
export interface PieceBatch<Piece> {
  readonly pieces: readonly Piece[];
  /** Only lent, until the next batch. */
  readonly loaded: LoadedTables;
  /** What is wrong with the entry after the last piece. */
  readonly failure: Error | undefined;
}

/** How tables are read for pieces. */
export interface PieceTables<Piece> {
  readonly tables: L2Tables;
  readonly clusterBytes: number;
  /** Host offsets of the tables that a piece needs; 0 for none. */
  readonly tablesOf: (piece: Piece) => readonly number[];
}

/** Reads the tables of pieces; the next tables are on their way while some are looked at. */
export async function* pieceBatches<Piece>(
  pieces: Generator<Piece, void>,
  reading: PieceTables<Piece>,
): AsyncGenerator<PieceBatch<Piece>> {
  // One batch is looked at while the next is read into the other memory.
  const memory = [new Uint8Array(0), new Uint8Array(0)];
  let next = loadNext(pieces, reading, memory);
  try {
    for (;;) {
      const batch = await next;
      if (batch === undefined) return;
      memory.reverse();
      next = loadNext(pieces, reading, memory);
      // Where nobody comes back for it, its failure is nobody's.
      next.catch(() => undefined);
      yield batch;
    }
  } finally {
    await next.catch(() => undefined);
  }
}

/**
 * Takes pieces until their tables fill a batch, and reads the tables.
 *
 * @param memory the first of which the tables are read into; made larger where it has to be.
 */
async function loadNext<Piece>(
  pieces: Generator<Piece, void>,
  { tables, clusterBytes, tablesOf }: PieceTables<Piece>,
  memory: Uint8Array[],
): Promise<PieceBatch<Piece> | undefined> {
  const taken: Piece[] = [];
  const offsets = new Set<number>();
  const tablesMax = Math.max(1, BATCH_BYTES / clusterBytes);
  let failure: Error | undefined;
  try {
    while (taken.length < BATCH_PIECES && offsets.size < tablesMax) {
      const next = pieces.next();
      if (next.done === true) break;
      taken.push(next.value);
      for (const at of tablesOf(next.value)) if (at !== 0) offsets.add(at);
    }
  } catch (error) {
    failure = error as Error;
  }
  if (taken.length === 0 && failure === undefined) return undefined;
  const needed = offsets.size * clusterBytes;
  if (memory[0]!.length < needed) memory[0] = newIoBytes(needed);
  return { pieces: taken, loaded: await tables.read([...offsets], memory[0]), failure };
}
