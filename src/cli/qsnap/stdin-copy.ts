import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addAbortSignal, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { isQsnapError, QsnapError } from '../../index.js';
import { printWarning, type Context } from './context.js';

const GZIP_MAGIC = Buffer.from([0x1f, 0x8b]);

/**
 * Copies what comes on stdin to a file that is gone afterwards, since a source is read at any place. What is
 * gzip-compressed is unpacked, also from several pieces in a row.
 *
 * @param use gets the name of the copy.
 * @throws QsnapError READ_FAILED, WRITE_FAILED, ABORTED.
 */
export function withStdinCopy<T>(
  context: Context,
  use: (copy: string, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  return context.io.interruptible(async (signal) => {
    const folder = await mkdtemp(join(tmpdir(), 'qsnap-stdin-'));
    try {
      const copy = join(folder, 'evidence');
      await copyStdin(copy, signal, context);
      return await use(copy, signal);
    } catch (error) {
      if (isQsnapError(error)) throw error;
      if (signal.aborted)
        throw new QsnapError('ABORTED', 'the copy of stdin was stopped', {}, error);
      throw error;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
}

async function copyStdin(path: string, signal: AbortSignal, context: Context): Promise<void> {
  // A stream of the file descriptor could not be stopped while it waits for bytes.
  const stdin = addAbortSignal(signal, process.stdin);
  const file = await open(path, 'wx', 0o600);
  try {
    for await (const bytes of unpacked(stdin, context)) await written(file, bytes);
  } finally {
    stdin.destroy();
    await file.close();
  }
}

async function written(file: Awaited<ReturnType<typeof open>>, bytes: Uint8Array): Promise<void> {
  try {
    await file.writeFile(bytes);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new QsnapError('WRITE_FAILED', `can't copy stdin: ${reason}`, {}, error);
  }
}

/** A record of evidence is of what came, packed or not. */
async function* told(chunks: AsyncIterable<Buffer>, { io }: Context): AsyncGenerator<Buffer, void> {
  for await (const bytes of chunks) {
    io.hasCome?.(bytes);
    yield bytes;
  }
}

/** The bytes, unpacked where they begin as gzip does. */
async function* unpacked(stdin: Readable, context: Context): AsyncGenerator<Uint8Array> {
  const chunks = told(stdin as AsyncIterable<Buffer>, context);
  let first = Buffer.alloc(0);
  while (first.length < GZIP_MAGIC.length) {
    const next = await chunks.next();
    if (next.done === true) break;
    first = Buffer.concat([first, next.value]);
  }
  async function* all(): AsyncGenerator<Buffer> {
    yield first;
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) {
      yield next.value;
    }
  }
  if (!first.subarray(0, GZIP_MAGIC.length).equals(GZIP_MAGIC)) {
    yield* all();
    return;
  }
  const source = Readable.from(all());
  const gunzip = createGunzip();
  source.on('error', (error) => gunzip.destroy(error));
  try {
    yield* source.pipe(gunzip) as AsyncIterable<Buffer>;
  } catch (error) {
    // What was cut off is evidence, too: what could be unpacked is read.
    if ((error as NodeJS.ErrnoException).code !== 'Z_BUF_ERROR') throw unreadable(error);
    printWarning(context, 'stdin: the gzip-compressed data ends before its end');
  }
}

function unreadable(error: unknown): QsnapError {
  const reason = error instanceof Error ? error.message : String(error);
  return new QsnapError('READ_FAILED', `can't read stdin: ${reason}`, {}, error);
}
