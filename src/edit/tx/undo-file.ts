import { isZero, hasSameBytes } from '../../base/bytes.js';
import { decodeStruct, encodeStruct, type Layout } from '../../base/struct.js';
import { MiB } from '../../base/units.js';
import type { NewHasher } from '../../base/hasher.js';
import type { BlockDevice, BlockSource } from '../../io/device.js';
import {
  undoFileInvalid,
  undoIndexOf,
  UNDO_LIMITS,
  type KeptStretch,
  type UndoIndex,
} from './undo-index.js';

/**
 * The file that keeps the bytes which an edit overwrites. A file that was not written to its end has no trailer.
 *
 * ```
 * byte 0 [ MAGIC, 16 bytes ]
 *        [ kept bytes, in the order of the index ]
 *        [ index, as JSON ]
 *        [ trailer: place and length of the index, version; then the SHA-256 of all bytes before it, in hex ]
 * ```
 */

/** 16 bytes. */
const MAGIC = new TextEncoder().encode('qsnap undo file\n');
const TRAILER = {
  indexAt: { at: 0, type: 'u64' },
  indexBytes: { at: 8, type: 'u32' },
  version: { at: 12, type: 'u32' },
} as const satisfies Layout;
const TRAILER_BYTES = 16;
const DIGEST_BYTES = 64;
const VERSION = 2;
const CHUNK_BYTES = 4 * MiB;

/** Writes an undo file from front to end. */
export class UndoWriter {
  readonly #file: BlockDevice;
  readonly #hasher: ReturnType<NewHasher>;
  #at = 0;

  private constructor(file: BlockDevice, newHasher: NewHasher) {
    this.#file = file;
    this.#hasher = newHasher();
  }

  static async start(file: BlockDevice, newHasher: NewHasher): Promise<UndoWriter> {
    const writer = new UndoWriter(file, newHasher);
    await writer.#append(MAGIC);
    return writer;
  }

  /** Keeps bytes. Returns where, or undefined when they are all zero and need no room. */
  async keep(bytes: Uint8Array): Promise<number | undefined> {
    if (isZero(bytes)) return undefined;
    const at = this.#at;
    await this.#append(bytes);
    return at;
  }

  /**
   * Ends the file; it is on the medium when this resolves.
   *
   * @throws QsnapError UNDO_FILE_INVALID where it would not be read again: then nothing may rely on it.
   */
  async finish(index: UndoIndex): Promise<void> {
    const indexAt = this.#at;
    undoIndexOf(index, { from: MAGIC.length, end: indexAt });
    const json = new TextEncoder().encode(JSON.stringify(index));
    await this.#append(json);
    const trailer = new Uint8Array(TRAILER_BYTES);
    const fields = { indexAt: BigInt(indexAt), indexBytes: json.length, version: VERSION };
    encodeStruct(TRAILER, fields, trailer);
    await this.#append(trailer);
    const digest = new TextEncoder().encode(this.#hasher.digest());
    await this.#file.writeBatch([{ at: this.#at, bytes: digest }]);
    await this.#file.flush();
  }

  async #append(bytes: Uint8Array): Promise<void> {
    this.#hasher.update(bytes);
    await this.#file.writeBatch([{ at: this.#at, bytes }]);
    this.#at += bytes.length;
  }
}

/**
 * Reads what an undo file says, once it is sure that the file is whole.
 *
 * @throws QsnapError UNDO_FILE_INVALID.
 */
export async function readUndoIndex(file: BlockSource, newHasher: NewHasher): Promise<UndoIndex> {
  const size = await file.sizeBytes();
  if (size < MAGIC.length + TRAILER_BYTES + DIGEST_BYTES) throw undoFileInvalid('it is too short');
  const magic = await readAt(file, 0, MAGIC.length);
  if (!hasSameBytes(magic, MAGIC)) throw undoFileInvalid('it does not begin as one');
  const stored = await readAt(file, size - DIGEST_BYTES, DIGEST_BYTES);
  const computed = await digestOfFile(file, size - DIGEST_BYTES, newHasher);
  if (new TextDecoder().decode(stored) !== computed) {
    throw undoFileInvalid('its checksum is wrong: it is damaged or was not written to its end');
  }
  const trailerAt = size - DIGEST_BYTES - TRAILER_BYTES;
  const trailer = decodeStruct(TRAILER, await readAt(file, trailerAt, TRAILER_BYTES));
  if (trailer.version !== VERSION) throw undoFileInvalid(`it has version ${trailer.version}`);
  const indexAt = trailerAt - trailer.indexBytes;
  if (trailer.indexAt !== BigInt(indexAt) || indexAt < MAGIC.length) {
    const actual = `${trailer.indexBytes} bytes at ${trailer.indexAt}`;
    const expected = `where it ends at ${trailerAt}`;
    throw undoFileInvalid(`its index is ${actual}, not ${expected}`, { actual, expected });
  }
  const most = UNDO_LIMITS.indexBytesMax;
  if (trailer.indexBytes > most) {
    const actual = `${trailer.indexBytes} bytes`;
    throw undoFileInvalid(`its index has ${actual}`, { actual, expected: `at most ${most} bytes` });
  }
  const json = await readAt(file, indexAt, trailer.indexBytes);
  return undoIndexOf(jsonOf(json), { from: MAGIC.length, end: indexAt });
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw undoFileInvalid('its index is no JSON', { expected: 'JSON' });
  }
}

/** The kept bytes of a stretch. */
export async function readKept(file: BlockSource, stretch: KeptStretch): Promise<Uint8Array> {
  if (stretch.keptAt === undefined) return new Uint8Array(stretch.length);
  return readAt(file, stretch.keptAt, stretch.length);
}

async function digestOfFile(
  file: BlockSource,
  bytes: number,
  newHasher: NewHasher,
): Promise<string> {
  const hasher = newHasher();
  for (let at = 0; at < bytes; at += CHUNK_BYTES) {
    hasher.update(await readAt(file, at, Math.min(CHUNK_BYTES, bytes - at)));
  }
  return hasher.digest();
}

async function readAt(file: BlockSource, at: number, length: number): Promise<Uint8Array> {
  const into = new Uint8Array(length);
  await file.readBatch([{ at, into }]);
  return into;
}
