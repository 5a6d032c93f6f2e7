import { decodeStruct } from '../../base/struct.js';
import { roundUp } from '../../base/units.js';
import { LIMITS } from '../../qcow2/limits.js';
import {
  ICOUNT_DISABLED,
  SNAPSHOT_ENTRY,
  SNAPSHOT_ENTRY_BYTES,
  SNAPSHOT_EXTRA,
} from '../../qcow2/spec.js';
import type { DumpedField } from './dumped.js';
import {
  bytesField,
  fieldsOf,
  offsetWords,
  type FieldWords,
  type Piece,
  type Say,
} from './piece.js';

/** What the values of an entry are judged by. */
export interface EntryLimits {
  /** Undefined where the header does not tell. */
  readonly clusterBytes: number | undefined;
  readonly fileSizeBytes: number;
}

/** Where a table may be, in words; undefined where this one can be. */
export function misplaced(
  at: number | bigint,
  { clusterBytes = 512, fileSizeBytes }: EntryLimits,
): string | undefined {
  const isThere = BigInt(at) % BigInt(clusterBytes) === 0n && BigInt(at) < BigInt(fileSizeBytes);
  return isThere ? undefined : `a multiple of ${clusterBytes} below ${fileSizeBytes}`;
}

function entryWords(limits: EntryLimits): FieldWords<typeof SNAPSHOT_ENTRY> {
  const most = (limit: number, unit: string): Say => {
    return (value) => ({
      text: `${value} ${unit}`,
      ...(Number(value) > limit && { expected: `at most ${limit}` }),
    });
  };
  const { l1BytesMax, snapshotExtraBytesMax } = LIMITS;
  return {
    l1At: [
      'l1_table_offset',
      (value) => ({ ...offsetWords(value), expected: misplaced(value, limits) }),
    ],
    l1Entries: ['l1_size', most(l1BytesMax.value / 8, 'entries')],
    idBytes: ['id_str_size', (value) => ({ text: `${value} bytes` })],
    nameBytes: ['name_size', (value) => ({ text: `${value} bytes` })],
    dateSeconds: ['date_sec', (value) => ({ text: `${value} (${isoText(Number(value))})` })],
    dateNanoseconds: ['date_nsec', most(999_999_999, 'ns')],
    vmClockNanoseconds: ['vm_clock_nsec', (value) => ({ text: `${value} ns` })],
    vmStateBytes32: ['vm_state_size', (value) => ({ text: `${value} bytes` })],
    extraDataBytes: ['extra_data_size', most(snapshotExtraBytesMax.value, 'bytes')],
  };
}

const isoText = (seconds: number): string =>
  new Date(seconds * 1000).toISOString().replace('.000', '');

const EXTRA: FieldWords<typeof SNAPSHOT_EXTRA> = {
  vmStateBytes: ['vm_state_size_large', (value) => ({ text: `${value} bytes` })],
  diskSizeBytes: ['disk_size', (value) => ({ text: `${value} bytes` })],
  icount: [
    'icount',
    (value) => ({ text: value === ICOUNT_DISABLED ? '-1 (disabled)' : `${value} instructions` }),
  ],
};

/** An entry of the snapshot table. */
export interface DumpedEntry {
  readonly fields: readonly DumpedField[];
  /** Length with padding; undefined where the file ends within it, or nobody can tell where the next one begins. */
  readonly bytes: number | undefined;
}

/** How many bytes an entry has in all, by its own words; the fixed part alone where that is cut off. */
export function entryBytes(bytes: Uint8Array): number {
  if (bytes.length < SNAPSHOT_ENTRY_BYTES) return SNAPSHOT_ENTRY_BYTES;
  const raw = decodeStruct(SNAPSHOT_ENTRY, bytes);
  return SNAPSHOT_ENTRY_BYTES + raw.extraDataBytes + raw.idBytes + raw.nameBytes;
}

/**
 * The fields of an entry of the snapshot table.
 *
 * @param piece the entry, or what the file has of it.
 * Spec: Snapshots. The names are those of QEMU's QCowSnapshotHeader: the specification has none.
 */
export function snapshotFields(index: number, piece: Piece, limits: EntryLimits): DumpedEntry {
  const of = { part: 'snapshots', structure: `snapshot ${index}` } as const;
  const fields = fieldsOf(of, SNAPSHOT_ENTRY, entryWords(limits), piece);
  if (piece.bytes.length < SNAPSHOT_ENTRY_BYTES) return { fields, bytes: undefined };
  const raw = decodeStruct(SNAPSHOT_ENTRY, piece.bytes);
  const { extraDataBytes, idBytes, nameBytes } = raw;
  for (const [key, field] of Object.entries(SNAPSHOT_EXTRA)) {
    if (field.at + 8 > extraDataBytes) continue;
    const one = { [key]: field } as unknown as typeof SNAPSHOT_EXTRA;
    fields.push(...fieldsOf(of, one, EXTRA, piece, SNAPSHOT_ENTRY_BYTES));
  }
  const known = Math.min(extraDataBytes, 24) & ~7;
  if (extraDataBytes > known) {
    const place = [SNAPSHOT_ENTRY_BYTES + known, extraDataBytes - known] as const;
    fields.push(bytesField(of, 'unknown extra data', piece, place));
  }
  const textAt = SNAPSHOT_ENTRY_BYTES + extraDataBytes;
  fields.push(bytesField(of, 'id_str', piece, [textAt, idBytes], 'text'));
  fields.push(bytesField(of, 'name', piece, [textAt + idBytes, nameBytes], 'text'));
  const end = textAt + idBytes + nameBytes;
  return { fields, bytes: end > piece.bytes.length ? undefined : roundUp(end, 8) };
}
