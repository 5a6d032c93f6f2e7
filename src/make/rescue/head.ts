import { encodeStruct } from '../../base/struct.js';
import { MiB } from '../../base/units.js';
import type { BlockSource } from '../../io/device.js';
import { parseExtensions, type HeaderExtension } from '../../qcow2/extensions.js';
import { l1EntriesFor } from '../../qcow2/geometry.js';
import { decodeHeader, parseHeader, type Header } from '../../qcow2/header.js';
import type { RawHeader } from '../../qcow2/raw-header.js';
import { LIMITS } from '../../qcow2/limits.js';
import { L1_ENTRIES_MAX } from './l1-room.js';
import {
  COMPRESSION_TYPE_AT,
  HEADER_V2,
  HEADER_V3,
  HEADER_V3_BYTES,
  INCOMPATIBLE,
  MAGIC,
  REFCOUNT_ORDER_V2,
} from '../../qcow2/spec.js';

/** Where a header says that tables lie, as stored: nothing of it is judged. */
export interface StoredPointers {
  readonly l1At: number;
  readonly l1Entries: number;
  readonly refcountTableAt: number;
  readonly refcountTableClusters: number;
  readonly snapshotTableAt: number;
  readonly snapshotCount: number;
  /** Refcounts may be out of date: the image was not closed properly. */
  readonly isDirty: boolean;
}

/** What is known of an image besides its tables. */
export interface RescueHead {
  /**
   * `header`: the file's own. `old-header`: one that the sweep found. `none`: nothing of it is left, and
   * all below was told from the tables.
   */
  readonly from: 'header' | 'old-header' | 'none';
  /**
   * Geometry, size and features, without marks and without bits that qsnap does not know; its table
   * pointers mean nothing.
   */
  readonly header: Header;
  readonly pointers: StoredPointers | undefined;
  /** Undefined where the size can't be right, or is not known. */
  readonly diskSizeBytes: number | undefined;
  /** Who says it: the header, whoever asked for the rescue, or the latest snapshot. */
  readonly sizeFrom: 'header' | 'caller' | 'snapshot';
  /** Without what belongs to one state of the image: bitmaps, and the name of a data file. */
  readonly extensions: readonly HeaderExtension[];
  readonly backingNameBytes: Uint8Array | undefined;
  /**
   * The state of the LUKS header: `cut` if the file ends inside it, `lost` if nothing of it is in the file. If it is lost, the
   * copy has the guest data as it is stored, since nobody can decrypt it.
   */
  readonly luksHeader: 'none' | 'whole' | 'cut' | 'lost';
  /**
   * Whether the header says that the guest data lies in another file, and names it: `unnamed` may be a bit
   * that flipped.
   */
  readonly dataFile: 'none' | 'named' | 'unnamed';
  /** The first bytes of the header as they are stored. */
  readonly stored: Uint8Array;
}

/** The longest first cluster. */
const HEAD_BYTES = 2 * MiB;
/** Of five signs of a header, one may be missing. */
const SIGNS_NEEDED = 4;

/**
 * Reads the header of a file as far as it can be read; undefined where there is none.
 *
 * @param at where it lies.
 * @param clusterBytes what the caller knows better.
 */
export async function readRescueHead(
  source: BlockSource,
  fileSizeBytes: number,
  at = 0,
  clusterBytes?: number,
): Promise<RescueHead | undefined> {
  const bytes = new Uint8Array(Math.min(HEAD_BYTES, Math.max(fileSizeBytes - at, 512)));
  await source.readBatch([{ at, into: bytes }]);
  const stored = decodeHeader(bytes);
  const raw =
    clusterBytes === undefined ? stored : { ...stored, clusterBits: Math.log2(clusterBytes) };
  if (signsOfHeader(raw, fileSizeBytes) < SIGNS_NEEDED) return undefined;
  return headOf(at === 0 ? 'header' : 'old-header', bytes, raw, fileSizeBytes);
}

/** A head for an image of which no header is left. */
export function headWithout(
  clusterBits: number,
  extendedL2: boolean,
  zstd: boolean,
  fileSizeBytes: number,
): RescueHead {
  const bytes = new Uint8Array(512);
  encodeStruct(HEADER_V2, { magic: MAGIC, version: 3, clusterBits }, bytes);
  const extended = extendedL2 ? 1n << BigInt(INCOMPATIBLE['extended L2 entries']) : 0n;
  const compression = zstd ? 1n << BigInt(INCOMPATIBLE['compression type']) : 0n;
  const incompatible = extended | compression;
  encodeStruct(HEADER_V3, { incompatible, refcountOrder: 4, headerBytes: 112 }, bytes);
  bytes[COMPRESSION_TYPE_AT] = zstd ? 1 : 0;
  const head = headOf('none', bytes, decodeHeader(bytes), fileSizeBytes);
  return { ...head, pointers: undefined, diskSizeBytes: undefined };
}

function signsOfHeader(raw: RawHeader, fileSizeBytes: number): number {
  const { clusterBitsMin, clusterBitsMax, refcountOrderMax } = LIMITS;
  const bitsFit =
    raw.clusterBits >= clusterBitsMin.value && raw.clusterBits <= clusterBitsMax.value;
  if (!bitsFit) return 0;
  const isPlace = (at: bigint): boolean =>
    at >= 1n << BigInt(raw.clusterBits) &&
    at < BigInt(fileSizeBytes) &&
    at % (1n << BigInt(raw.clusterBits)) === 0n;
  const signs = [
    raw.magic === MAGIC,
    raw.version === 2 || raw.version === 3,
    isPlace(raw.l1At),
    isPlace(raw.refcountTableAt),
    raw.refcountOrder <= refcountOrderMax.value,
  ];
  const found = signs.filter(Boolean).length;
  // A header of which both pointers are lost still is one.
  return signs[0]! && signs[1]! ? Math.max(found, SIGNS_NEEDED) : found;
}

function headOf(
  from: RescueHead['from'],
  bytes: Uint8Array,
  raw: RawHeader,
  fileSizeBytes: number,
): RescueHead {
  const header = parseHeader(withoutFaults(bytes, raw), Math.max(fileSizeBytes, HEADER_V3_BYTES));
  const { at, bytes: nameBytes } = header.backingName;
  const isWhole = at + nameBytes <= bytes.length;
  const extensions = readExtensions(bytes, header);
  const luksHeader = luksHeaderOf(header, extensions, fileSizeBytes);
  return {
    from,
    header: { ...header, encryption: encryptionBy(luksHeader, header) },
    pointers: {
      l1At: Number(raw.l1At),
      l1Entries: raw.l1Entries,
      refcountTableAt: Number(raw.refcountTableAt),
      refcountTableClusters: raw.refcountTableClusters,
      snapshotTableAt: Number(raw.snapshotTableAt),
      snapshotCount: raw.snapshotCount,
      isDirty: (raw.incompatible & (1n << BigInt(INCOMPATIBLE.dirty))) !== 0n,
    },
    diskSizeBytes: isSizePossible(raw, header) ? Number(raw.sizeBytes) : undefined,
    sizeFrom: 'header',
    extensions: extensions.filter((extension) => isKept(extension, luksHeader)),
    backingNameBytes: nameBytes > 0 && isWhole ? bytes.slice(at, at + nameBytes) : undefined,
    luksHeader,
    dataFile: dataFileOf(header, extensions),
    stored: bytes.slice(0, 512),
  };
}

/** A size that the L1 table has no room for was never the disk's. */
function isSizePossible({ sizeBytes, l1Entries }: RawHeader, { geometry }: Header): boolean {
  if (sizeBytes > BigInt(Number.MAX_SAFE_INTEGER)) return false;
  const needed = l1EntriesFor(Number(sizeBytes), geometry);
  return needed <= L1_ENTRIES_MAX && (needed <= l1Entries || l1Entries === 0);
}

/** The header with every field that no header can have replaced by what does least harm. */
function withoutFaults(head: Uint8Array, raw: RawHeader): Uint8Array {
  const bytes = new Uint8Array(Math.max(head.length, 512));
  bytes.set(head);
  const version = raw.version === 2 ? 2 : 3;
  const clusterBytes = 2 ** raw.clusterBits;
  const nameFits =
    raw.backingNameBytes <= LIMITS.backingNameBytesMax.value &&
    raw.backingNameAt + BigInt(raw.backingNameBytes) <= BigInt(clusterBytes);
  encodeStruct(
    HEADER_V2,
    {
      magic: MAGIC,
      version,
      backingNameAt: nameFits ? raw.backingNameAt : 0n,
      backingNameBytes: nameFits ? raw.backingNameBytes : 0,
      clusterBits: raw.clusterBits,
      sizeBytes: 0n,
      cryptMethod: raw.cryptMethod <= 2 ? raw.cryptMethod : 0,
      l1Entries: 0,
      l1At: 0n,
      refcountTableAt: BigInt(clusterBytes),
      refcountTableClusters: 1,
      snapshotCount: 0,
      snapshotTableAt: 0n,
    },
    bytes,
  );
  if (version === 3) encodeStruct(HEADER_V3, version3Fields(bytes, raw), bytes);
  return bytes;
}

function version3Fields(bytes: Uint8Array, raw: RawHeader) {
  const lengthFits =
    raw.headerBytes >= HEADER_V3_BYTES &&
    raw.headerBytes <= 2 ** raw.clusterBits &&
    raw.headerBytes % 8 === 0;
  const isZstd = lengthFits && raw.headerBytes > HEADER_V3_BYTES && raw.compressionType === 1;
  if (!isZstd) bytes[COMPRESSION_TYPE_AT] = 0;
  const canExtend = raw.clusterBits >= LIMITS.clusterBitsMinExtendedL2.value;
  const kept =
    (1n << BigInt(INCOMPATIBLE['external data file'])) |
    (canExtend ? 1n << BigInt(INCOMPATIBLE['extended L2 entries']) : 0n);
  const zstdBit = isZstd ? 1n << BigInt(INCOMPATIBLE['compression type']) : 0n;
  const isOrder = raw.refcountOrder <= LIMITS.refcountOrderMax.value;
  return {
    incompatible: (raw.incompatible & kept) | zstdBit,
    autoclear: 0n,
    refcountOrder: isOrder ? raw.refcountOrder : REFCOUNT_ORDER_V2,
    headerBytes: lengthFits ? raw.headerBytes : HEADER_V3_BYTES,
  };
}

function readExtensions(bytes: Uint8Array, header: Header): readonly HeaderExtension[] {
  try {
    const cluster = bytes.subarray(0, header.geometry.clusterBytes);
    // A LUKS header is none by chance: it is the method of encryption then that has a flipped bit.
    return parseExtensions(cluster, { ...header, encryption: 'luks' }).extensions;
  } catch {
    // What can't be parsed says nothing that a disk needs, but for the place of a LUKS header.
    return [];
  }
}

function luksHeaderOf(
  { encryption }: Header,
  extensions: readonly HeaderExtension[],
  fileSizeBytes: number,
): RescueHead['luksHeader'] {
  const extension = extensions.find(({ kind }) => kind === 'encryption-header');
  if (extension?.kind !== 'encryption-header') return encryption === 'luks' ? 'lost' : 'none';
  const { at, bytes } = extension.header;
  if (at >= fileSizeBytes) return 'lost';
  return at + bytes > fileSizeBytes ? 'cut' : 'whole';
}

function encryptionBy(
  luksHeader: RescueHead['luksHeader'],
  { encryption }: Header,
): Header['encryption'] {
  if (luksHeader === 'none') return encryption;
  return luksHeader === 'lost' ? 'none' : 'luks';
}

function dataFileOf(
  { externalDataFile }: Header,
  extensions: readonly HeaderExtension[],
): RescueHead['dataFile'] {
  if (!externalDataFile) return 'none';
  return extensions.some(({ kind }) => kind === 'data-file-name') ? 'named' : 'unnamed';
}

function isKept({ kind }: HeaderExtension, luksHeader: RescueHead['luksHeader']): boolean {
  if (kind === 'encryption-header') return luksHeader !== 'lost';
  return kind !== 'bitmaps' && kind !== 'data-file-name';
}
