/** Two disks side by side, as `compare` goes over them. */
import type { GuestDisk, QsnapError, ReadRequest } from '../../../index.js';
import { isQsnapError } from '../../../index.js';
import { newIoBytes } from '../../../internal.js';
import { readAll } from '../disks/read-all.js';
import type { StatusRun } from '../map/status-runs.js';
import { StatusWalk } from '../map/status-walk.js';

/** What was found first; `same` for all that both have. */
export type Verdict =
  | { readonly kind: 'same' }
  | { readonly kind: 'content' | 'status'; readonly at: number }
  | {
      readonly kind: 'read-failed';
      readonly at: number;
      readonly disk: Side;
      readonly error: QsnapError;
    }
  | { readonly kind: 'status-failed'; readonly disk: Side; readonly error: QsnapError };

/** Which of the two disks: the first or the second. */
export type Side = 0 | 1;

export interface WalkOptions {
  /** Disks differ also where one has clusters and the other has none. */
  readonly strict: boolean;
  /** Called with the bytes of each stretch that is through. */
  readonly onDone: (bytes: number) => void;
}

/** QEMU reads no more at a time, and names the place of a difference from there on. */
const CHUNK_BYTES = 2 * 1024 * 1024;
/** Bytes of each disk that are read and compared together. */
const BATCH_BYTES = 4 * 1024 * 1024;
/** Where clusters are tiny and scattered, a batch ends by its number of chunks. */
const BATCH_CHUNKS = 4096;
/** How exactly the place of a difference is told. */
const SECTOR_BYTES = 512;

/** A stretch that is the same in kind on both disks. */
interface Chunk {
  readonly start: number;
  readonly end: number;
  /** Which disks have to be read; the other one, or both, are known to be zero there. */
  readonly reads: readonly Side[];
  /** What was found before anything is read. */
  readonly verdict?: Verdict;
}

/** Bytes of one side of a chunk; undefined where they are known to be zero. */
type Bytes = Buffer | undefined;

interface ReadChunk {
  readonly chunk: Chunk;
  readonly bytes: readonly [Bytes, Bytes];
}

/** Compares the beginnings of two disks, as long as the shorter one is. */
export async function comparePair(
  disks: readonly [GuestDisk, GuestDisk],
  options: WalkOptions,
): Promise<Verdict> {
  return walk(pairedChunks(disks, options.strict), disks, options.onDone);
}

/** Compares what a disk has past `from` with zeros. */
export async function compareWithZeros(
  disk: GuestDisk,
  from: number,
  side: Side,
  onDone: (bytes: number) => void,
): Promise<Verdict> {
  return walk(chunksPast(disk, from, side), [disk, disk], onDone);
}

async function walk(
  chunks: AsyncIterable<Chunk>,
  disks: readonly [GuestDisk, GuestDisk],
  onDone: (bytes: number) => void,
): Promise<Verdict> {
  const batches = batchesOf(chunks)[Symbol.asyncIterator]();
  const memories = new Memories();
  let reading = nextRead(batches, disks, memories);
  try {
    for (;;) {
      const read = await reading;
      if (read === undefined) return { kind: 'same' };
      reading = nextRead(batches, disks, memories);
      // Whoever waits for it gets its error.
      reading.catch(() => undefined);
      for (const { chunk, bytes } of read.chunks) {
        const verdict = chunk.verdict ?? differenceIn(chunk, bytes);
        if (verdict !== undefined) return verdict;
        onDone(chunk.end - chunk.start);
      }
      if (read.failure !== undefined) return read.failure;
    }
  } finally {
    await reading.catch(() => undefined);
  }
}

/**
 * Memory for batches: one is read while the one before is looked at, so two take turns. Fresh
 * memory for each costs more than the reading.
 */
class Memories {
  readonly #buffers = [Buffer.alloc(0), Buffer.alloc(0)];
  #turn = 0;

  /** Gives out the pieces that a batch needs, one after the other. */
  forBatch(chunks: readonly Chunk[]): (bytes: number) => Buffer {
    const needed = chunks.reduce((sum, { start, end, reads }) => {
      return sum + (end - start) * reads.length;
    }, 0);
    this.#turn = 1 - this.#turn;
    if (this.#buffers[this.#turn]!.length < needed) {
      const { buffer, byteOffset } = newIoBytes(needed);
      this.#buffers[this.#turn] = Buffer.from(buffer, byteOffset, needed);
    }
    const memory = this.#buffers[this.#turn]!;
    let used = 0;
    return (bytes) => {
      used += bytes;
      return memory.subarray(used - bytes, used);
    };
  }
}

/** What could be read of a batch, and why the rest could not. */
interface ReadBatch {
  readonly chunks: readonly ReadChunk[];
  readonly failure: Verdict | undefined;
}

async function nextRead(
  batches: AsyncIterator<readonly Chunk[]>,
  disks: readonly [GuestDisk, GuestDisk],
  memories: Memories,
): Promise<ReadBatch | undefined> {
  const next = await batches.next();
  if (next.done === true) return undefined;
  const chunks = next.value;
  try {
    return { chunks: await readChunks(chunks, disks, memories), failure: undefined };
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    return readOneByOne(chunks, disks);
  }
}

async function readChunks(
  chunks: readonly Chunk[],
  disks: readonly [GuestDisk, GuestDisk],
  memories: Memories,
): Promise<ReadChunk[]> {
  const requests: [ReadRequest[], ReadRequest[]] = [[], []];
  const take = memories.forBatch(chunks);
  const read = chunks.map((chunk): ReadChunk => {
    const bytes = ([0, 1] as const).map((side) => {
      if (!chunk.reads.includes(side)) return undefined;
      const into = take(chunk.end - chunk.start);
      requests[side].push({ at: chunk.start, into });
      return into;
    });
    return { chunk, bytes: bytes as [Bytes, Bytes] };
  });
  await readAll([disks[0].readBatch(requests[0]), disks[1].readBatch(requests[1])]);
  return read;
}

/** Finds what it is that can't be read. */
async function readOneByOne(
  chunks: readonly Chunk[],
  disks: readonly [GuestDisk, GuestDisk],
): Promise<ReadBatch> {
  const read: ReadChunk[] = [];
  for (const chunk of chunks) {
    const bytes: [Bytes, Bytes] = [undefined, undefined];
    for (const side of chunk.reads) {
      const into = Buffer.allocUnsafe(chunk.end - chunk.start);
      try {
        await disks[side].readBatch([{ at: chunk.start, into }]);
      } catch (error) {
        if (!isQsnapError(error)) throw error;
        const failure: Verdict = { kind: 'read-failed', at: chunk.start, disk: side, error };
        return { chunks: read, failure };
      }
      bytes[side] = into;
    }
    read.push({ chunk, bytes });
  }
  return { chunks: read, failure: undefined };
}

const ZEROS = Buffer.alloc(CHUNK_BYTES);

/** The first sector in which the two sides differ, counted from the start of the chunk. */
function differenceIn({ start, end }: Chunk, [a, b]: readonly [Bytes, Bytes]): Verdict | undefined {
  if (a === undefined && b === undefined) return undefined;
  const length = end - start;
  const left = a ?? ZEROS.subarray(0, length);
  const right = b ?? ZEROS.subarray(0, length);
  if (left.equals(right)) return undefined;
  for (let at = 0; ; at += SECTOR_BYTES) {
    const to = Math.min(length, at + SECTOR_BYTES);
    if (!left.subarray(at, to).equals(right.subarray(at, to))) {
      return { kind: 'content', at: start + at };
    }
  }
}

async function* batchesOf(chunks: AsyncIterable<Chunk>): AsyncGenerator<readonly Chunk[]> {
  let batch: Chunk[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    batch.push(chunk);
    if (chunk.reads.length > 0) bytes += chunk.end - chunk.start;
    if (bytes < BATCH_BYTES && batch.length < BATCH_CHUNKS) continue;
    yield batch;
    batch = [];
    bytes = 0;
  }
  if (batch.length > 0) yield batch;
}

async function* pairedChunks(
  disks: readonly [GuestDisk, GuestDisk],
  strict: boolean,
): AsyncGenerator<Chunk> {
  const walks = [new StatusWalk(disks[0], 'all'), new StatusWalk(disks[1], 'all')] as const;
  for (let at = 0; ;) {
    const runs: StatusRun[] = [];
    for (const side of [0, 1] as const) {
      const run = await walks[side].runAt(at);
      if (isQsnapError(run)) {
        const verdict: Verdict = { kind: 'status-failed', disk: side, error: run };
        yield { start: at, end: at, reads: [], verdict };
        return;
      }
      if (run === undefined) return;
      runs.push(run);
    }
    const [a, b] = runs as [StatusRun, StatusRun];
    const end = Math.min(a.end, b.end);
    if (strict && a.status !== b.status) {
      yield { start: at, end, reads: [], verdict: { kind: 'status', at } };
      return;
    }
    const chunk = chunkOf(at, end, sidesToRead(a, b));
    yield chunk;
    at = chunk.end;
  }
}

function sidesToRead(a: StatusRun, b: StatusRun): readonly Side[] {
  if (a.zero && b.zero) return [];
  if (a.allocated && b.allocated) return [0, 1];
  return a.allocated ? [0] : [1];
}

/** What is read comes in chunks of limited length. */
function chunkOf(start: number, end: number, reads: readonly Side[]): Chunk {
  return { start, end: reads.length === 0 ? end : Math.min(end, start + CHUNK_BYTES), reads };
}

async function* chunksPast(disk: GuestDisk, from: number, side: Side): AsyncGenerator<Chunk> {
  const walk = new StatusWalk(disk, 'all');
  for (let at = from; ;) {
    const run = await walk.runAt(at);
    if (run === undefined) return;
    if (isQsnapError(run)) {
      const verdict: Verdict = { kind: 'status-failed', disk: side, error: run };
      yield { start: at, end: at, reads: [], verdict };
      return;
    }
    const chunk = chunkOf(at, run.end, run.allocated && !run.zero ? [side] : []);
    yield chunk;
    at = chunk.end;
  }
}
