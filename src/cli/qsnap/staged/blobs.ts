import { QsnapError } from '../../../index.js';
import { gitFailed, startGit, type GitPlace } from './git.js';

/** The bytes of an object of git, to be read once and in order. */
export interface Blob {
  readonly sizeBytes: number;
  /** The next bytes, as many as asked for or as there are. */
  read(bytes: number): Promise<Buffer>;
  /** All that was not read yet, piece by piece. */
  rest(): AsyncGenerator<Buffer>;
}

/**
 * Reads objects of git one after the other, by one process for all: as they are stored, through no filter. What `use`
 * leaves unread is passed over.
 *
 * @throws QsnapError OPEN_FAILED where git fails or an object is not there; ABORTED.
 */
export async function readBlobs<T extends { readonly blob: string }>(
  wanted: readonly T[],
  place: GitPlace,
  use: (one: T, blob: Blob) => Promise<void>,
): Promise<void> {
  const child = await startGit(['cat-file', '--batch'], place);
  const ended = new Promise((resolve) => child.once('close', resolve));
  const failed = { error: new Error('git ended too early'), stderr: '' };
  child.on('error', (error) => (failed.error = error));
  child.stderr!.on('data', (data: Buffer) => (failed.stderr += data.toString()));
  // A process that ended takes no more words; the reader finds that out.
  child.stdin!.on('error', () => undefined);
  child.stdin!.end(wanted.map(({ blob }) => `${blob}\n`).join(''));
  const pipe = new ByteQueue(child.stdout!);
  try {
    for (const one of wanted) {
      const line = await pipe.line();
      if (line === undefined) {
        await ended;
        throw gitFailed(failed.error, failed.stderr, place);
      }
      const [, type, size] = line.split(' ');
      if (type !== 'blob') {
        throw new QsnapError('OPEN_FAILED', `can't tell what is staged: git says "${line}"`);
      }
      const blob = new QueuedBlob(pipe, Number(size));
      await use(one, blob);
      await blob.skip();
      // A line end that is not the blob's.
      await pipe.take(1);
      if (blob.isCut) throw gitFailed(failed.error, failed.stderr, place);
    }
  } finally {
    child.kill();
    child.stdout!.destroy();
    await ended;
  }
}

class QueuedBlob implements Blob {
  readonly sizeBytes: number;
  readonly #pipe: ByteQueue;
  #left: number;
  /** Whether git ended before the object did. */
  isCut = false;

  constructor(pipe: ByteQueue, sizeBytes: number) {
    this.#pipe = pipe;
    this.sizeBytes = sizeBytes;
    this.#left = sizeBytes;
  }

  async read(bytes: number): Promise<Buffer> {
    const pieces: Buffer[] = [];
    let missing = Math.min(bytes, this.#left);
    while (missing > 0) {
      const piece = await this.#next(missing);
      if (piece === undefined) break;
      missing -= piece.length;
      pieces.push(piece);
    }
    return Buffer.concat(pieces);
  }

  async *rest(): AsyncGenerator<Buffer> {
    while (this.#left > 0) {
      const piece = await this.#next(this.#left);
      if (piece === undefined) return;
      yield piece;
    }
  }

  /** Passes over what was not read. */
  async skip(): Promise<void> {
    while (this.#left > 0) await this.#next(this.#left);
  }

  async #next(most: number): Promise<Buffer | undefined> {
    const piece = await this.#pipe.take(most);
    if (piece === undefined) this.isCut = true;
    this.#left -= piece?.length ?? this.#left;
    return piece;
  }
}

/** Bytes of a stream in pieces of the lengths that are asked for. */
class ByteQueue {
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(stream: NodeJS.ReadableStream) {
    this.#chunks = (stream as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  }

  /** Up to so many bytes and at least one; undefined where the stream ended. */
  async take(most: number): Promise<Buffer | undefined> {
    if (this.#rest.length === 0) {
      const next = await this.#chunks.next();
      if (next.done === true) return undefined;
      this.#rest = next.value;
    }
    const piece = this.#rest.subarray(0, most);
    this.#rest = this.#rest.subarray(piece.length);
    return piece;
  }

  /** Up to the next line end, without it; undefined where the stream ended before. */
  async line(): Promise<string | undefined> {
    let text = '';
    for (;;) {
      const piece = await this.take(1);
      if (piece === undefined) return undefined;
      if (piece[0] === 0x0a) return text;
      text += String.fromCharCode(piece[0]!);
    }
  }
}
