import { readSnapshotsLeniently } from '../../image/open-for-check.js';
import type { BlockSource } from '../../io/device.js';
import { geometryOf, type Geometry } from '../../qcow2/geometry.js';
import { hasBit } from '../../qcow2/header.js';
import { LIMITS } from '../../qcow2/limits.js';
import type { RawHeader } from '../../qcow2/raw-header.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';
import { INCOMPATIBLE } from '../../qcow2/spec.js';
import { storedHeader } from './header-fields.js';

/** An image of which nothing has to be right. */
export interface DumpableImage {
  readonly source: BlockSource;
  readonly fileSizeBytes: number;
  /** The first cluster, or what the file has of it. */
  readonly head: Uint8Array;
  readonly raw: RawHeader;
  /** Length of the header; where extensions begin. */
  readonly headerBytes: number;
  /** Undefined where the header has no sizes that can be right: no table can be read then. */
  readonly geometry: Geometry | undefined;
  /** The snapshots whose entries can be read. */
  readonly snapshots: readonly Snapshot[];
}

/** What is read of a file whose header does not say how long a cluster is. */
const HEAD_BYTES = 65_536;

/**
 * Opens an image for a dump. Any file can be opened: what it says is not judged.
 *
 * ```ts
 * const image = await openForDump(memoryDevice(bytes));
 * for await (const fields of dumpImage(image, { parts: ['header'] })) {
 *   for (const { name, text, problem } of fields) console.log(name, text, problem?.expected);
 * }
 * ```
 *
 * @throws QsnapError READ_FAILED.
 */
export async function openForDump(source: BlockSource): Promise<DumpableImage> {
  const fileSizeBytes = await source.sizeBytes();
  const start = await readPiece(source, fileSizeBytes, 0, HEAD_BYTES);
  const { raw, bytes: headerBytes } = storedHeader(start);
  const geometry = plausibleGeometry(raw);
  const clusterBytes = geometry?.clusterBytes ?? HEAD_BYTES;
  const head =
    clusterBytes > start.length
      ? await readPiece(source, fileSizeBytes, 0, clusterBytes)
      : start.subarray(0, Math.max(clusterBytes, 512));
  const snapshots = await readableSnapshots(source, fileSizeBytes, raw, geometry);
  return { source, fileSizeBytes, head, raw, headerBytes, geometry, snapshots };
}

/** Bytes of a file as far as it has them. */
export async function readPiece(
  source: BlockSource,
  fileSizeBytes: number,
  at: number,
  length: number,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(Math.max(0, Math.min(length, fileSizeBytes - at)));
  if (bytes.length > 0) await source.readBatch([{ at, into: bytes }]);
  return bytes;
}

function plausibleGeometry(raw: RawHeader): Geometry | undefined {
  const { clusterBitsMin, clusterBitsMax, refcountOrderMax } = LIMITS;
  const { clusterBits, refcountOrder, version } = raw;
  if (version === 1 || refcountOrder > refcountOrderMax.value) return undefined;
  if (clusterBits < clusterBitsMin.value || clusterBits > clusterBitsMax.value) return undefined;
  const isExtended = hasBit(raw.incompatible, INCOMPATIBLE['extended L2 entries']);
  return geometryOf(clusterBits, refcountOrder, isExtended);
}

async function readableSnapshots(
  source: BlockSource,
  fileSizeBytes: number,
  raw: RawHeader,
  geometry: Geometry | undefined,
): Promise<readonly Snapshot[]> {
  if (geometry === undefined || raw.snapshotTableAt >= BigInt(fileSizeBytes)) return [];
  const at = Number(raw.snapshotTableAt);
  const count = Math.min(raw.snapshotCount, LIMITS.snapshotsMax.value);
  const diskSizeBytes = Number(raw.sizeBytes);
  const header = { snapshotTable: { at, count }, diskSizeBytes, geometry };
  return (await readSnapshotsLeniently(source, header, fileSizeBytes, true)).snapshots;
}
