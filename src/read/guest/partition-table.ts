/**
 * Partition tables of a guest's disk: MBR with logical partitions, and GUID partition tables. Sources: the UEFI
 * specification, chapter 5; the layout of the MBR that all systems share.
 */
import { QsnapError } from '../../errors.js';
import type { BlockSource } from '../../io/device.js';

/** A part of a guest's disk that a partition table names. */
export interface Partition {
  /** As Linux counts them: 1 to 4 in an MBR, 5 and more the logical ones. */
  readonly number: number;
  /** Guest offset in bytes. */
  readonly start: number;
  readonly length: number;
  /** Of an MBR two hexadecimal digits, of a GUID partition table the type's GUID. */
  readonly type: string;
  /** Of a GUID partition table, where it has one. */
  readonly name: string | undefined;
}

/** A partition table as it is stored. */
export interface PartitionTable {
  readonly scheme: 'mbr' | 'gpt';
  /** Bytes of a sector, in which the table counts. */
  readonly sectorBytes: number;
  /** In the order of the table. */
  readonly partitions: readonly Partition[];
}

const SECTOR_BYTES = 512;
const MBR_ENTRIES_AT = 446;
const MBR_ENTRY_BYTES = 16;
const MBR_SIGNATURE_AT = 510;
/** Types of an extended partition: a list of logical ones. */
const EXTENDED: ReadonlySet<number> = new Set([0x05, 0x0f, 0x85]);
const PROTECTIVE = 0xee;
/** Logical partitions that are followed: each names the next, and a table may name itself. Ours. */
const LOGICAL_MAX = 128;
/** Bytes of entries that are read of a GUID partition table: as many as are in use anywhere. Ours. */
const GPT_ENTRIES_BYTES_MAX = 256 * 1024;
const GPT_ENTRY_BYTES_MIN = 128;
const GPT_SIGNATURE = 'EFI PART';

/**
 * Reads the partition table of a disk.
 *
 * ```ts
 * const disk = await openGuestDisk(await openForReading(device));
 * for (const { number, start, length } of (await readPartitions(disk))?.partitions ?? []) console.log(number, start, length);
 * await disk.close();
 * ```
 *
 * @returns undefined where the disk has none.
 * @throws QsnapError what reading the disk throws.
 */
export async function readPartitions(disk: BlockSource): Promise<PartitionTable | undefined> {
  const first = await read(disk, 0, SECTOR_BYTES);
  if (first[MBR_SIGNATURE_AT] !== 0x55 || first[MBR_SIGNATURE_AT + 1] !== 0xaa) return undefined;
  const primary = mbrEntries(first);
  if (primary.some(({ type }) => type === PROTECTIVE)) {
    for (const sectorBytes of [SECTOR_BYTES, 8 * SECTOR_BYTES]) {
      const gpt = await readGpt(disk, sectorBytes);
      if (gpt !== undefined) return gpt;
    }
  }
  const partitions: Partition[] = [];
  for (const [i, entry] of primary.entries()) {
    if (entry.type === 0) continue;
    partitions.push(partitionOf(i + 1, entry, 0));
    if (EXTENDED.has(entry.type)) partitions.push(...(await readLogical(disk, entry.sector)));
  }
  return { scheme: 'mbr', sectorBytes: SECTOR_BYTES, partitions };
}

/**
 * The partition that a guest offset lies in: the innermost one.
 *
 * ```ts
 * const table = await readPartitions(await openGuestDisk(await openForReading(device)));
 * if (table !== undefined) console.log(partitionAt(table, 0x100000)?.number);
 * ```
 */
export function partitionAt(
  { partitions }: PartitionTable,
  guestOffset: number,
): Partition | undefined {
  return partitions
    .filter(({ start, length }) => guestOffset >= start && guestOffset < start + length)
    .reduce<Partition | undefined>(
      (least, one) => (least === undefined || one.length < least.length ? one : least),
      undefined,
    );
}

/**
 * The partition of a number.
 *
 * ```ts
 * const table = await readPartitions(await openGuestDisk(await openForReading(device)));
 * console.log(partitionNumbered(table, 1).start);
 * ```
 *
 * @param table undefined: a disk without one.
 * @throws QsnapError PARTITION_NOT_FOUND.
 */
export function partitionNumbered(table: PartitionTable | undefined, number: number): Partition {
  const partitions = table?.partitions ?? [];
  const found = partitions.find((one) => one.number === number);
  if (found !== undefined) return found;
  const numbers = partitions.map((one) => one.number).join(', ');
  throw new QsnapError('PARTITION_NOT_FOUND', `the disk has no partition ${number}`, {
    structure: 'partition table',
    expected: numbers === '' ? 'there is none' : numbers,
  });
}

interface MbrEntry {
  readonly type: number;
  readonly sector: number;
  readonly sectors: number;
}

function mbrEntries(bytes: Uint8Array): readonly MbrEntry[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return [0, 1, 2, 3].map((i) => {
    const at = MBR_ENTRIES_AT + i * MBR_ENTRY_BYTES;
    const [sector, sectors] = [view.getUint32(at + 8, true), view.getUint32(at + 12, true)];
    return { type: bytes[at + 4]!, sector, sectors };
  });
}

function partitionOf(number: number, { type, sector, sectors }: MbrEntry, from: number): Partition {
  return {
    number,
    start: (from + sector) * SECTOR_BYTES,
    length: sectors * SECTOR_BYTES,
    type: type.toString(16).padStart(2, '0'),
    name: undefined,
  };
}

/** Follows the list of logical partitions: each table has one, and the place of the next table. */
async function readLogical(disk: BlockSource, extended: number): Promise<readonly Partition[]> {
  const found: Partition[] = [];
  const seen = new Set<number>();
  for (let at = extended; found.length < LOGICAL_MAX && !seen.has(at);) {
    seen.add(at);
    const bytes = await read(disk, at * SECTOR_BYTES, SECTOR_BYTES);
    if (bytes[MBR_SIGNATURE_AT] !== 0x55 || bytes[MBR_SIGNATURE_AT + 1] !== 0xaa) break;
    const [own, next] = mbrEntries(bytes);
    if (own!.type !== 0) found.push(partitionOf(5 + found.length, own!, at));
    if (!EXTENDED.has(next!.type)) break;
    at = extended + next!.sector;
  }
  return found;
}

async function readGpt(
  disk: BlockSource,
  sectorBytes: number,
): Promise<PartitionTable | undefined> {
  const header = await read(disk, sectorBytes, SECTOR_BYTES);
  if (textOf(header.subarray(0, 8)) !== GPT_SIGNATURE) return undefined;
  const view = new DataView(header.buffer);
  const at = sector(view, 72) * sectorBytes;
  const entryBytes = view.getUint32(84, true);
  if (entryBytes < GPT_ENTRY_BYTES_MIN || entryBytes > GPT_ENTRIES_BYTES_MAX) return undefined;
  const most = Math.floor(GPT_ENTRIES_BYTES_MAX / entryBytes);
  const entries = Math.min(view.getUint32(80, true), most);
  const bytes = await read(disk, at, entries * entryBytes);
  const partitions: Partition[] = [];
  for (let i = 0; i < entries; i += 1) {
    const entry = bytes.slice(i * entryBytes, (i + 1) * entryBytes);
    const type = guidOf(entry);
    if (/^[0-]+$/.test(type)) continue;
    const fields = new DataView(entry.buffer);
    const [first, last] = [sector(fields, 32), sector(fields, 40)];
    const name = new TextDecoder('utf-16le').decode(entry.subarray(56, 128)).replace(/\0.*$/s, '');
    partitions.push({
      ...{ number: i + 1, type, name: name === '' ? undefined : name },
      ...{ start: first * sectorBytes, length: Math.max(0, last - first + 1) * sectorBytes },
    });
  }
  return { scheme: 'gpt', sectorBytes, partitions };
}

/** A place of 64 bits; those above 2^53 are rounded, and lie behind any disk. */
function sector(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
}

/** The first three groups of a GUID are stored with their lowest byte first. */
function guidOf(bytes: Uint8Array): string {
  const order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
  const hex = order.map((i) => bytes[i]!.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

const textOf = (bytes: Uint8Array): string => String.fromCharCode(...bytes);

async function read(disk: BlockSource, at: number, length: number): Promise<Uint8Array> {
  const into = new Uint8Array(length);
  const end = await disk.sizeBytes();
  if (at < end) await disk.readBatch([{ at, into }]);
  return into;
}
