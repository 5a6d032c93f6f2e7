import { encodeStruct } from '../../base/struct.js';
import { roundUp } from '../../base/units.js';
import type { OpenImage } from '../../image/image.js';
import type { BlockDevice } from '../../io/device.js';
import type { HeaderExtension } from '../../qcow2/extensions.js';
import type { L1Ref } from '../../qcow2/header.js';
import { conformingEntry, encodeSnapshotTable } from '../../qcow2/snapshot-table.js';
import { ENCRYPTION_POINTER } from '../../qcow2/spec.js';
import type { DiskCipher } from '../../read/guest/layer.js';
import { encodeCarriedHeader } from '../new/carried-header.js';
import type { HostClusters } from '../new/host-clusters.js';
import { appendRefcountArea, refcountWrites, type RefcountArea } from '../new/refcount-area.js';
import { WriteQueue } from '../new/write-queue.js';
import type { CompactOptions } from './compact-options.js';
import type { CompactTarget } from './compact-target.js';
import type { DataTotals } from './copy-data.js';
import type { NewLayout } from './new-layout.js';
import { RegridLayout } from './regrid-copy.js';
import { SameLayout } from './same-layout.js';
import type { SourceTables } from './source-tables.js';
import type { Survey } from './survey.js';

/** What writing takes. */
export interface WriteOptions extends CompactOptions {
  readonly onBytes: (bytes: number) => void;
}

/** As much as a medium writes whole or not at all. */
const SECTOR_BYTES = 512;

/** A new file with all but its first sector. */
export interface WrittenFile {
  readonly totals: DataTotals;
  readonly sizeBytes: number;
  /** The first sector, which makes the file an image. */
  readonly firstSector: Uint8Array;
}

/**
 * Writes all of a new image but its first sector. Nothing is flushed for sure.
 *
 * @throws QsnapError what reading, placing and writing throw, ABORTED.
 */
export async function writeNew(
  source: SourceTables,
  survey: Survey,
  device: BlockDevice,
  target: CompactTarget,
  cipher: DiskCipher | undefined,
  options: WriteOptions,
): Promise<WrittenFile> {
  const { image, disks } = source;
  const { geometry } = target;
  const { clusterBytes } = geometry;
  const queue = new WriteQueue(device);
  const layout: NewLayout = target.isSameGrid
    ? new SameLayout(source, survey, target)
    : new RegridLayout(source, survey, target);
  const { clusters } = layout;
  const luks = await carryLuksHeader(image, clusters, clusterBytes, queue);
  const l1s = layout.l1Entries.map((entries): L1Ref => {
    const needed = Math.ceil((entries * 8) / clusterBytes);
    return { at: needed === 0 ? 0 : clusters.append(needed), entries };
  });
  const tableOf = (places: readonly L1Ref[]): Uint8Array => snapshotTable(disks, places, target);
  const { length: tableBytes } = tableOf(l1s);
  const tableAt = tableBytes === 0 ? 0 : clusters.append(Math.ceil(tableBytes / clusterBytes));
  const totals = await layout.copy(queue, {
    ...{ dropZeros: target.dropZeros, compress: target.compress, cipher },
    decompressor: options.decompressor,
    compressor: options.compressor,
    dedupe: options.dedupe === true,
    isEqual: options.isEqual,
    ...{ onBytes: options.onBytes, signal: options.signal },
  });
  const requests = [
    ...l1s.map(({ at }, disk) => ({ at, bytes: layout.encodeL1(disk) })),
    { at: tableAt, bytes: padded(tableOf(l1s), clusterBytes) },
  ];
  await queue.inTurn([requests.filter(({ bytes }) => bytes.length > 0)]);
  const area = appendRefcountArea(clusters, geometry);
  await queue.inTurn(refcountWrites(area, clusters.counts, geometry));
  await queue.drain();
  const sizeBytes = clusters.length * clusterBytes;
  await device.truncate(sizeBytes);
  const header = headerOf(image, target, l1s, { at: tableAt, count: disks.length - 1 }, area, luks);
  const rest = header.subarray(SECTOR_BYTES);
  if (rest.length > 0) await device.writeBatch([{ at: SECTOR_BYTES, bytes: rest }]);
  return { totals, sizeBytes, firstSector: header.subarray(0, SECTOR_BYTES) };
}

/** The LUKS header keeps its bytes: its keys don't depend on where it lies. */
async function carryLuksHeader(
  { extensions, source }: OpenImage,
  clusters: HostClusters,
  clusterBytes: number,
  queue: WriteQueue,
): Promise<number> {
  const extension = extensions.find(({ kind }) => kind === 'encryption-header');
  if (extension?.kind !== 'encryption-header') return 0;
  const { at, bytes } = extension.header;
  const whole = new Uint8Array(roundUp(bytes, clusterBytes));
  await source.readBatch([{ at, into: whole.subarray(0, bytes) }]);
  const place = clusters.append(whole.length / clusterBytes);
  await queue.inTurn([[{ at: place, bytes: whole }]]);
  return place;
}

function snapshotTable(
  disks: SourceTables['disks'],
  l1s: readonly L1Ref[],
  { version }: CompactTarget,
): Uint8Array {
  return encodeSnapshotTable(
    disks.flatMap(({ snapshot }, i) => {
      return snapshot === undefined ? [] : [{ ...conformingEntry(snapshot, version), l1: l1s[i]! }];
    }),
  );
}

function padded(bytes: Uint8Array, clusterBytes: number): Uint8Array {
  const whole = new Uint8Array(roundUp(bytes.length, clusterBytes));
  whole.set(bytes);
  return whole;
}

function headerOf(
  image: OpenImage,
  { version, geometry, compressionType }: CompactTarget,
  l1s: readonly L1Ref[],
  table: { readonly at: number; readonly count: number },
  area: RefcountArea,
  luksAt: number,
): Uint8Array {
  const { header, backingNameBytes } = image;
  return encodeCarriedHeader({
    ...{ version, geometry, old: header, compressionType, backingNameBytes },
    extensions: image.extensions.flatMap((extension) => carried(extension, luksAt)),
    diskSizeBytes: header.diskSizeBytes,
    activeL1: l1s[0]!,
    snapshotTable: table,
    refcountTable: { at: area.at, clusters: area.tableClusters },
  });
}

/** Bitmaps are left out; the LUKS header lies somewhere else. */
function carried(extension: HeaderExtension, luksAt: number): HeaderExtension[] {
  if (extension.kind === 'bitmaps') return [];
  if (extension.kind !== 'encryption-header') return [extension];
  const bytes = extension.bytes.slice();
  encodeStruct(ENCRYPTION_POINTER, { at: BigInt(luksAt) }, bytes);
  return [{ ...extension, bytes }];
}
