import { decodeStruct } from '../../base/struct.js';
import { roundUp } from '../../base/units.js';
import { hex } from '../../base/words.js';
import { LIMITS } from '../../qcow2/limits.js';
import {
  BITMAP_ENTRY,
  BITMAP_ENTRY_BYTES,
  BITMAPS_EXTENSION,
  BITMAPS_EXTENSION_BYTES,
} from '../../qcow2/spec.js';
import type { DumpedField } from './dumped.js';
import { readPiece, type DumpableImage } from './dumpable.js';
import { dumpTable, formatOf, notRead } from './dump-tables.js';
import { bytesField, fieldsOf, offsetWords, type FieldWords, type Piece } from './piece.js';
import { misplaced, type EntryLimits } from './snapshot-fields.js';
import { saidBitmapTableEntry } from './table-entries.js';

const DIRECTORY = { part: 'bitmaps', structure: 'bitmap directory' } as const;

/**
 * The entries of the bitmap directory, and the table of each bitmap.
 *
 * @param extension the data of the bitmaps extension; no bytes where there is none.
 * Spec: Bitmap directory, Bitmap table. The names are those of QEMU's Qcow2BitmapDirEntry.
 */
export async function* dumpBitmaps(
  image: DumpableImage,
  extension: Uint8Array,
  every: boolean,
): AsyncGenerator<readonly DumpedField[]> {
  if (extension.length < BITMAPS_EXTENSION_BYTES) return;
  const { source, fileSizeBytes, geometry } = image;
  const { bitmapCount, directoryAt, directoryBytes } = decodeStruct(BITMAPS_EXTENSION, extension);
  const limits: EntryLimits = { clusterBytes: geometry?.clusterBytes, fileSizeBytes };
  const most = LIMITS.bitmapDirectoryBytesMax.value;
  const wrongPlace =
    directoryAt === 0n ? 'an offset that is not 0' : misplaced(directoryAt, limits);
  if (wrongPlace !== undefined || directoryBytes > BigInt(most)) {
    const text = `${directoryBytes} bytes at ${hex(directoryAt)}`;
    yield [notRead(DIRECTORY, Number(directoryAt), text, wrongPlace ?? `at most ${most} bytes`)];
    return;
  }
  const at = Number(directoryAt);
  const bytes = await readPiece(source, fileSizeBytes, at, Number(directoryBytes));
  let left = fileSizeBytes;
  for (let index = 0, from = 0; index < bitmapCount; index++) {
    if (from >= bytes.length) {
      const text = `entries from ${index} on lie past the end of the directory or of the file`;
      yield [notRead(DIRECTORY, at + from, text, `${bitmapCount} entries`)];
      return;
    }
    const entry = entryFields(index, { at: at + from, bytes: bytes.subarray(from) }, limits);
    yield entry.fields;
    if (entry.table === undefined) return;
    const { tableAt, entries } = entry.table;
    // The tables of a sound image are no longer than its file: more of them lie over each other.
    const tableBytes = Math.min(entries * 8, Math.max(0, fileSizeBytes - Number(tableAt)));
    if (misplaced(tableAt, limits) === undefined && tableBytes <= left && tableAt !== 0n) {
      left -= tableBytes;
      yield* tableOf(image, index, Number(tableAt), entries, every);
    }
    from += entry.table.bytes;
  }
}

interface DirectoryEntry {
  readonly fields: readonly DumpedField[];
  /** Undefined where the entry is cut off. */
  readonly table:
    { readonly tableAt: bigint; readonly entries: number; readonly bytes: number } | undefined;
}

function entryFields(index: number, piece: Piece, limits: EntryLimits): DirectoryEntry {
  const of = { part: 'bitmaps', structure: `bitmap ${index}` } as const;
  const fields = fieldsOf(of, BITMAP_ENTRY, entryWords(limits), piece);
  if (piece.bytes.length < BITMAP_ENTRY_BYTES) return { fields, table: undefined };
  const raw = decodeStruct(BITMAP_ENTRY, piece.bytes);
  const { extraDataBytes, nameBytes, tableAt, tableEntries } = raw;
  if (extraDataBytes > 0) {
    const place = [BITMAP_ENTRY_BYTES, extraDataBytes] as const;
    fields.push(bytesField(of, 'extra_data', piece, place));
  }
  const nameAt = BITMAP_ENTRY_BYTES + extraDataBytes;
  fields.push(bytesField(of, 'name', piece, [nameAt, nameBytes], 'text'));
  const end = nameAt + nameBytes;
  const table = { tableAt, entries: tableEntries, bytes: roundUp(end, 8) };
  return { fields, table: end > piece.bytes.length ? undefined : table };
}

function entryWords(limits: EntryLimits): FieldWords<typeof BITMAP_ENTRY> {
  const { bitmapTableEntriesMax, bitmapNameBytesMax } = LIMITS;
  const between = (value: number | bigint, least: number, most: number): string | undefined =>
    Number(value) < least || Number(value) > most ? `${least} to ${most}` : undefined;
  return {
    tableAt: [
      'bitmap_table_offset',
      (value) => ({ ...offsetWords(value), expected: misplaced(value, limits) }),
    ],
    tableEntries: [
      'bitmap_table_size',
      (value) => ({
        text: `${value} entries`,
        expected: between(value, 0, bitmapTableEntriesMax.value),
      }),
    ],
    flags: [
      'flags',
      (value) => ({
        text: flagWords(Number(value)),
        expected: Number(value) > 7 ? 'bits 0 to 2' : undefined,
      }),
    ],
    type: [
      'type',
      (value) => ({
        text: value === 1 ? '1 (dirty tracking bitmap)' : `${value}`,
        expected: between(value, 1, 1),
      }),
    ],
    granularityBits: [
      'granularity_bits',
      (value) => ({
        text: `${value} (a bit stands for ${2 ** Number(value)} bytes)`,
        expected: between(value, 9, 31),
      }),
    ],
    nameBytes: [
      'name_size',
      (value) => ({
        text: `${value} bytes`,
        expected: between(value, 1, bitmapNameBytesMax.value),
      }),
    ],
    extraDataBytes: ['extra_data_size', (value) => ({ text: `${value} bytes` })],
  };
}

const FLAGS = ['in_use', 'auto', 'extra_data_compatible'];

function flagWords(flags: number): string {
  const set = FLAGS.filter((_, bit) => ((flags >>> bit) & 1) === 1);
  return set.length === 0 ? hex(flags) : `${hex(flags)} (${set.join(', ')})`;
}

async function* tableOf(
  image: DumpableImage,
  index: number,
  at: number,
  entries: number,
  every: boolean,
): AsyncGenerator<readonly DumpedField[]> {
  const format = formatOf(image);
  if (format === undefined) return;
  const step = format.geometry.clusterBytes;
  const structure = `bitmap table ${index} at ${hex(at)}`;
  yield* dumpTable(image, {
    of: { part: 'bitmaps', structure, step, every },
    at,
    entries,
    say: (high, low) => saidBitmapTableEntry(high, low, format),
  });
}
