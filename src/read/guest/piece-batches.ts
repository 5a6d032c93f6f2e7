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
  const rest = new PieceQueue(pieces, reading);
  // One batch is looked at while the next is read into the other memory.
  const memory = [new Uint8Array(0), new Uint8Array(0)];
  let next = loadNext(rest, reading, memory);
  try {
    for (;;) {
      const batch = await next;
      if (batch === undefined) return;
      memory.reverse();
      next = loadNext(rest, reading, memory);
      // Where nobody comes back for it, its failure is nobody's.
      next.catch(() => undefined);
      yield batch;
    }
  } finally {
    await next.catch(() => undefined);
  }
}

/**
 * Takes the next pieces, and reads their tables.
 *
 * @param memory the first of which the tables are read into; made larger where it has to be.
 */
async function loadNext<Piece>(
  rest: PieceQueue<Piece>,
  { tables, clusterBytes }: PieceTables<Piece>,
  memory: Uint8Array[],
): Promise<PieceBatch<Piece> | undefined> {
  const { taken, offsets, failure } = rest.take();
  if (taken.length === 0 && failure === undefined) return undefined;
  const needed = offsets.size * clusterBytes;
  if (memory[0]!.length < needed) memory[0] = newIoBytes(needed);
  return { pieces: taken, loaded: await tables.read([...offsets], memory[0]), failure };
}

/** Pieces of a batch, and the tables that they need. */
interface TakenPieces<Piece> {
  readonly taken: readonly Piece[];
  readonly offsets: ReadonlySet<number>;
  readonly failure: Error | undefined;
}

/** Hands out pieces until their tables fill a batch; those of one table stay together. */
class PieceQueue<Piece> {
  readonly #pieces: Generator<Piece, void>;
  readonly #tablesOf: (piece: Piece) => readonly number[];
  readonly #tablesMax: number;
  /** Taken, but of no batch yet. */
  #waiting: Piece | undefined;

  constructor(pieces: Generator<Piece, void>, { clusterBytes, tablesOf }: PieceTables<Piece>) {
    this.#pieces = pieces;
    this.#tablesOf = tablesOf;
    this.#tablesMax = BATCH_BYTES / clusterBytes;
  }

  take(): TakenPieces<Piece> {
    const taken: Piece[] = [];
    const offsets = new Set<number>();
    try {
      while (taken.length < BATCH_PIECES) {
        const piece = this.#next();
        if (piece === undefined) break;
        const missing = this.#tablesOf(piece).filter((at) => at !== 0 && !offsets.has(at));
        if (taken.length > 0 && offsets.size + missing.length > this.#tablesMax) {
          this.#waiting = piece;
          break;
        }
        taken.push(piece);
        for (const at of missing) offsets.add(at);
      }
    } catch (error) {
      return { taken, offsets, failure: error as Error };
    }
    return { taken, offsets, failure: undefined };
  }

  #next(): Piece | undefined {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined) return waiting;
    const next = this.#pieces.next();
    return next.done === true ? undefined : next.value;
  }
}
