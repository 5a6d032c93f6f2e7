import { hinted } from '../base/hints.js';
import { exactNumber, hex } from '../base/words.js';
import { isQsnapError, QsnapError, type ErrorCode, type ErrorDetails } from '../errors.js';
import { describeFeature, unknownFeatures } from './features.js';
import { geometryOf } from './geometry.js';
import type { RawHeader } from './raw-header.js';
import { LIMITS } from './limits.js';
import { HEADER_V2, HEADER_V3, HEADER_V3_BYTES, INCOMPATIBLE } from './spec.js';

/** A judgement of one header field. Throws, or does nothing. */
export type HeaderCheck = (raw: RawHeader, bytes: Uint8Array) => void;

/** A rescue goes by what lies in the file, whatever the header says. */
function fail(code: ErrorCode, message: string, details: ErrorDetails): never {
  throw new QsnapError(code, message, {
    structure: 'header',
    ...hinted('rescue-if-damaged'),
    ...details,
  });
}

/**
 * Is this a qcow2 file at all? Runs before everything else, so that the owner of a text file is
 * not told about a number in it.
 *
 * @throws QsnapError NOT_QCOW2, QCOW_VERSION_1, UNSUPPORTED_VERSION, IMAGE_TRUNCATED.
 */
export function checkIdentity(raw: RawHeader, magic: number, fileSizeBytes: number): void {
  if (raw.magic === magic && fileSizeBytes < 8) {
    // Nothing tells of which version it is: a program that looks takes it for a raw disk.
    const found = `${fileSizeBytes} bytes`;
    fail('NOT_QCOW2', `not a qcow2 image: the file ends inside its header, after ${found}`, {
      at: fileSizeBytes,
      expected: 'a header of at least 72 bytes',
      actual: found,
    });
  }
  if (fileSizeBytes < 4) {
    const found = fileSizeBytes === 0 ? 'the file is empty' : `the file has ${fileSizeBytes} bytes`;
    fail('NOT_QCOW2', `not a qcow2 image: ${found}, and a header has 72 at least`, {
      at: 0,
      expected: 'a header of at least 72 bytes',
      actual: `a file of ${fileSizeBytes} bytes`,
    });
  }
  if (raw.magic !== magic) {
    fail('NOT_QCOW2', `not a qcow2 image: it does not start with the magic bytes "QFI\\xfb"`, {
      at: HEADER_V2.magic.at,
      expected: hex(magic),
      actual: hex(raw.magic),
    });
  }
  const at = HEADER_V2.version.at;
  if (raw.version === 1) {
    fail('QCOW_VERSION_1', 'this is a qcow image (version 1), not a qcow2 image', {
      at,
      expected: 'version 2 or 3',
      actual: 'version 1',
      ...hinted('convert-to-qcow2'),
    });
  }
  if (raw.version !== 2 && raw.version !== 3) {
    fail('UNSUPPORTED_VERSION', `qcow2 version ${raw.version} is not known, only 2 and 3 are`, {
      at,
      expected: 'version 2 or 3',
      actual: `version ${raw.version}`,
    });
  }
  const least = raw.version === 2 ? 72 : HEADER_V3_BYTES;
  if (fileSizeBytes < least) {
    fail('IMAGE_TRUNCATED', `the file ends inside its header, after ${fileSizeBytes} bytes`, {
      at: fileSizeBytes,
      expected: `a header of ${least} bytes`,
      actual: `${fileSizeBytes} bytes`,
    });
  }
}

function checkClusterBits(raw: RawHeader): void {
  const { clusterBitsMin, clusterBitsMax } = LIMITS;
  if (raw.clusterBits >= clusterBitsMin.value && raw.clusterBits <= clusterBitsMax.value) return;
  fail('HEADER_INVALID', `cluster_bits is ${raw.clusterBits}, not 9 to 21 (512 bytes to 2 MiB)`, {
    at: HEADER_V2.clusterBits.at,
    expected: '9 to 21',
    actual: String(raw.clusterBits),
  });
}

function checkHeaderLength(raw: RawHeader): void {
  if (raw.version === 2) return;
  const clusterBytes = 2 ** raw.clusterBits;
  const tooShort = raw.headerBytes < LIMITS.headerBytesMinV3.value;
  if (!tooShort && raw.headerBytes <= clusterBytes && raw.headerBytes % 8 === 0) return;
  fail('HEADER_INVALID', `header_length is ${raw.headerBytes}, which no header can have`, {
    at: HEADER_V3.headerBytes.at,
    expected: `a multiple of 8 from 104 to ${clusterBytes}`,
    actual: String(raw.headerBytes),
  });
}

function checkBackingNamePosition(raw: RawHeader): void {
  if (raw.backingNameAt === 0n) return;
  const clusterBytes = BigInt(2 ** raw.clusterBits);
  const max = LIMITS.backingNameBytesMax.value;
  const end = raw.backingNameAt + BigInt(raw.backingNameBytes);
  if (raw.backingNameBytes <= max && end <= clusterBytes) return;
  fail(
    'HEADER_INVALID',
    `the backing file name (${raw.backingNameBytes} bytes at ${hex(raw.backingNameAt)}) does not ` +
      'fit into the first cluster',
    {
      at: HEADER_V2.backingNameAt.at,
      expected: `at most ${max} bytes that end within the first ${clusterBytes}`,
      actual: `${raw.backingNameBytes} bytes at ${hex(raw.backingNameAt)}`,
    },
  );
}

function checkFeatures(raw: RawHeader, bytes: Uint8Array): void {
  const features = unknownFeatures(raw, bytes);
  if (features.length === 0) return;
  const names = features.map(describeFeature).join(', ');
  fail('UNSUPPORTED_FEATURE', `the image needs features that qsnap lacks: ${names}`, {
    at: HEADER_V3.incompatible.at,
    expected: 'incompatible feature bits 0 to 4',
    actual: hex(raw.incompatible),
    features,
  });
}

function checkCompressionType(raw: RawHeader): void {
  const bit = (raw.incompatible >> BigInt(INCOMPATIBLE['compression type'])) & 1n;
  if ((bit === 1n) === (raw.compressionType !== 0) && raw.compressionType <= 1) return;
  fail('HEADER_INVALID', `compression type ${raw.compressionType} does not fit its feature bit`, {
    at: HEADER_V3_BYTES,
    expected: 'type 0 (zlib) without the compression type bit, or type 1 (zstd) with it',
    actual: `type ${raw.compressionType} with the bit ${bit === 1n ? 'set' : 'clear'}`,
  });
}

function checkExtendedL2(raw: RawHeader): void {
  const extended = (raw.incompatible >> BigInt(INCOMPATIBLE['extended L2 entries'])) & 1n;
  const min = LIMITS.clusterBitsMinExtendedL2.value;
  if (extended === 0n || raw.clusterBits >= min) return;
  fail('HEADER_INVALID', `extended L2 entries need clusters of at least 16 KiB`, {
    at: HEADER_V2.clusterBits.at,
    expected: `cluster_bits of at least ${min}`,
    actual: String(raw.clusterBits),
  });
}

function checkRefcountOrder(raw: RawHeader): void {
  if (raw.refcountOrder <= LIMITS.refcountOrderMax.value) return;
  fail(
    'HEADER_INVALID',
    `refcount_order is ${raw.refcountOrder}, at most 6 (64 bits) is possible`,
    {
      at: HEADER_V3.refcountOrder.at,
      expected: '0 to 6',
      actual: String(raw.refcountOrder),
    },
  );
}

function checkEncryption(raw: RawHeader): void {
  if (raw.cryptMethod <= 2) return;
  fail('HEADER_INVALID', `encryption method ${raw.cryptMethod} is not known`, {
    at: HEADER_V2.cryptMethod.at,
    expected: '0 (none), 1 (AES) or 2 (LUKS)',
    actual: String(raw.cryptMethod),
  });
}

/** Where a table must lie: on a cluster boundary, below 2^56, and not over the header. */
function checkTablePosition(
  structure: string,
  at: number,
  offset: bigint,
  clusterBits: number,
): void {
  const clusterBytes = 2n ** BigInt(clusterBits);
  const inRange = offset >= clusterBytes && offset < 2n ** 56n;
  if (inRange && offset % clusterBytes === 0n) return;
  fail('TABLE_INVALID', `the ${structure} lies at ${hex(offset)}, where none can be`, {
    structure,
    at,
    expected: `a multiple of the cluster size ${clusterBytes} past the header`,
    actual: hex(offset),
  });
}

function checkRefcountTable(raw: RawHeader): void {
  const structure = 'refcount table';
  const bytesMax = LIMITS.refcountTableBytesMax.value;
  if (raw.refcountTableClusters === 0) {
    fail('TABLE_INVALID', 'the image has no refcount table', {
      structure,
      at: HEADER_V2.refcountTableClusters.at,
      expected: 'at least 1 cluster',
      actual: '0 clusters',
    });
  }
  if (raw.refcountTableClusters * 2 ** raw.clusterBits > bytesMax) {
    fail('TABLE_INVALID', `the refcount table claims ${raw.refcountTableClusters} clusters`, {
      structure,
      at: HEADER_V2.refcountTableClusters.at,
      expected: `at most ${bytesMax} bytes`,
      actual: `${raw.refcountTableClusters} clusters`,
    });
  }
  checkTablePosition(structure, HEADER_V2.refcountTableAt.at, raw.refcountTableAt, raw.clusterBits);
}

function checkSnapshotTable(raw: RawHeader): void {
  const structure = 'snapshot table';
  const max = LIMITS.snapshotsMax.value;
  if (raw.snapshotCount > max) {
    fail('SNAPSHOT_TABLE_INVALID', `the image claims ${raw.snapshotCount} snapshots`, {
      structure,
      at: HEADER_V2.snapshotCount.at,
      expected: `at most ${max}`,
      actual: String(raw.snapshotCount),
    });
  }
  if (raw.snapshotCount === 0) return;
  checkTablePosition(structure, HEADER_V2.snapshotTableAt.at, raw.snapshotTableAt, raw.clusterBits);
}

function checkActiveL1(raw: RawHeader): void {
  const structure = 'active L1';
  const bytesMax = LIMITS.l1BytesMax.value;
  if (raw.l1Entries * 8 > bytesMax) {
    fail('TABLE_INVALID', `the active L1 claims ${raw.l1Entries} entries`, {
      structure,
      at: HEADER_V2.l1Entries.at,
      expected: `at most ${bytesMax / 8}`,
      actual: String(raw.l1Entries),
    });
  }
  const extended = (raw.incompatible >> BigInt(INCOMPATIBLE['extended L2 entries'])) & 1n;
  const geometry = geometryOf(raw.clusterBits, 0, extended === 1n);
  const coverage = BigInt(geometry.l2CoverageBytes);
  const needed = (raw.sizeBytes + coverage - 1n) / coverage;
  if (BigInt(raw.l1Entries) < needed) {
    fail('TABLE_INVALID', `the active L1 has ${raw.l1Entries} entries, too few for the disk size`, {
      structure,
      at: HEADER_V2.l1Entries.at,
      expected: `at least ${needed} for a disk of ${raw.sizeBytes} bytes`,
      actual: String(raw.l1Entries),
    });
  }
  if (raw.l1Entries === 0) return;
  checkTablePosition(structure, HEADER_V2.l1At.at, raw.l1At, raw.clusterBits);
}

/** The tables that the header points at. */
export type HeaderTable = 'refcountTable' | 'snapshotTable' | 'activeL1';

/** What is wrong with where the header says that a table is, by the table. */
export type MisplacedTables = ReadonlyMap<HeaderTable, QsnapError>;

interface TableField {
  readonly table: HeaderTable;
  readonly at: (raw: RawHeader) => bigint;
}

const TABLE_OF: ReadonlyMap<HeaderCheck, TableField> = new Map([
  [checkRefcountTable, { table: 'refcountTable', at: (raw) => raw.refcountTableAt }],
  [checkSnapshotTable, { table: 'snapshotTable', at: (raw) => raw.snapshotTableAt }],
  [checkActiveL1, { table: 'activeL1', at: (raw) => raw.l1At }],
]);

/** All header checks, in QEMU's order, so that the first complaint is about the same field. */
export const HEADER_CHECKS: readonly HeaderCheck[] = [
  checkClusterBits,
  checkHeaderLength,
  checkBackingNamePosition,
  checkCompressionType,
  checkFeatures,
  checkExtendedL2,
  checkRefcountOrder,
  checkRefcountTable,
  checkSnapshotTable,
  checkActiveL1,
  checkEncryption,
];

/** What can be judged of a header although nobody knows how long its clusters are. */
const WITHOUT_CLUSTERS: readonly HeaderCheck[] = [
  checkCompressionType,
  checkFeatures,
  checkRefcountOrder,
  checkEncryption,
];

/** All that is wrong with the fields of a header, of any version; each problem has the offset of a field. */
export function headerProblems(raw: RawHeader, bytes: Uint8Array): readonly QsnapError[] {
  const problems: QsnapError[] = [];
  const run = (check: HeaderCheck): void => {
    try {
      check(raw, bytes);
    } catch (error) {
      if (!isQsnapError(error)) throw error;
      problems.push(error);
    }
  };
  run(checkClusterBits);
  const rest = problems.length === 0 ? HEADER_CHECKS.slice(1) : WITHOUT_CLUSTERS;
  for (const check of rest) run(check);
  return problems;
}

/**
 * Makes all header checks; what is wrong with a table is collected instead of thrown.
 *
 * @throws QsnapError what the checks of everything else throw.
 */
export function misplacedTables(raw: RawHeader, bytes: Uint8Array): MisplacedTables {
  const misplaced = new Map<HeaderTable, QsnapError>();
  for (const check of HEADER_CHECKS) {
    const field = TABLE_OF.get(check);
    try {
      check(raw, bytes);
      if (field !== undefined) exactNumber(field.at(raw), 'the offset of a table');
    } catch (error) {
      if (field === undefined || !isQsnapError(error)) throw error;
      misplaced.set(field.table, error);
    }
  }
  return misplaced;
}
