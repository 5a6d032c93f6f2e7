import { roundUp } from '../../base/units.js';
import { QsnapError } from '../../errors.js';
import { openImage } from '../../image/open.js';
import type { OpenImage } from '../../image/image.js';
import { ownSnapshot } from '../../image/own-snapshot.js';
import { refuseEdited } from '../../image/refuse-edited.js';
import type { BlockDevice, BlockSource } from '../../io/device.js';
import { stoppableImage } from '../../io/stoppable.js';
import type { HeaderExtension } from '../../qcow2/extensions.js';
import type { L1Ref } from '../../qcow2/header.js';
import { conformingEntry, encodeSnapshotTable, type Snapshot } from '../../qcow2/snapshot-table.js';
import { encodeStruct } from '../../base/struct.js';
import { ENCRYPTION_POINTER } from '../../qcow2/spec.js';
import { refuseUnsound } from '../../read/check/refuse-unsound.js';
import type { DiskCipher } from '../../read/guest/layer.js';
import { unlock } from '../../read/guest/unlock.js';
import { referencesMaxOf, type HostClusters } from '../new/host-clusters.js';
import { encodeCarriedHeader } from '../new/carried-header.js';
import { appendRefcountArea, refcountWrites, type RefcountArea } from '../new/refcount-area.js';
import { WriteQueue } from '../new/write-queue.js';
import { digestDisks } from './content-digests.js';
import type { CompactDisk, CompactOptions, CompactReport } from './compact-options.js';
import type { DataTotals } from './copy-data.js';
import { dedupe as dedupeClusters, type Deduped } from './dedupe.js';
import type { NewLayout } from './new-layout.js';
import { digestByReading } from './read-digests.js';
import { RegridLayout } from './regrid-copy.js';
import { SameLayout } from './same-layout.js';
import { refuseTarget, targetOf, type CompactTarget } from './compact-target.js';
import { readSourceTables, type SourceTables } from './source-tables.js';
import { surveyTables, type Survey } from './survey.js';

/**
 * Writes a new image with the active disk and the snapshots of another one, VM states included. What disks share they
 * share in the new image; tables and data lie in guest order, and nothing else is in the file. Ids, names, dates,
 * clocks and extra data stay as they are.
 *
 * Every disk and VM state of the new image is compared with the old one by hash, and the new image is checked. If that
 * fails, the file is no image.
 *
 * ```ts
 * const copy = await createNewFile('compact.qcow2');
 * const { newFileSizeBytes } = await compactImage(await openImage(device), copy, {
 *   newHasher: newSha256,
 *   decompressor: nodeDecompressor(),
 * });
 * await copy.close();
 * ```
 *
 * Memory: 20 bytes for each cluster of the old file, 14 for each of the new one, and some 60 for each compressed cluster.
 *
 * @param device an empty file.
 * @throws QsnapError EXTERNAL_DATA_FILE, IMAGE_DAMAGED, IMAGE_CHANGED, SNAPSHOT_STALE, ENCRYPTED, PASSPHRASE_WRONG,
 *   NEW_IMAGE_INVALID, REFCOUNT_OVERFLOW, LIMIT_EXCEEDED, UNSUPPORTED_COMPRESSION, CLUSTER_DATA_INVALID, READ_FAILED,
 *   WRITE_FAILED, NO_SPACE, VERIFY_FAILED, ABORTED.
 */
export async function compactImage(
  image: OpenImage,
  device: BlockDevice,
  options: CompactOptions,
): Promise<CompactReport> {
  refuseEdited(image);
  const [unread] = image.unread ?? [];
  if (unread !== undefined) throw unread.reason;
  const target = targetOf(image, options);
  const cipher = await cipherOf(image, options);
  const old = stoppableImage(image, options.signal, 'the compaction');
  const source = await readSourceTables(old, chosenSnapshots(image, options));
  const survey = await surveyTables(source, options.signal);
  refuseTarget(target, source, survey);
  const tell = progressOf(source, survey, options);
  const deduped = await dedupedBy(source, survey, target, cipher, options);
  const written = await writeNew(source, deduped.survey, device, target, cipher, {
    ...options,
    onBytes: tell('writing', 1),
  });
  try {
    const onBytes = tell('comparing', 2);
    const disks = await compared(source, survey, device, target, cipher, options, onBytes);
    await refuseUnsound(device, { corruptions: 0, checkErrors: 0, leaks: 0 });
    return {
      ...written,
      oldFileSizeBytes: image.fileSizeBytes,
      dedupedClusters: deduped.clusters + written.dedupedClusters,
      disks,
      bitmapsLeftOut: image.bitmaps.length,
    };
  } catch (error) {
    // What is not proved to be equal is no image.
    await device.writeBatch([{ at: 0, bytes: new Uint8Array(512) }]);
    await device.flush();
    throw error;
  }
}

/** In the order of the table, whatever the order that they were named in. */
function chosenSnapshots(image: OpenImage, { snapshots }: CompactOptions): readonly Snapshot[] {
  if (snapshots === undefined) return image.snapshots;
  const chosen = new Set(snapshots.map((snapshot) => ownSnapshot(image, snapshot).index));
  return image.snapshots.filter(({ index }) => chosen.has(index));
}

/**
 * LUKS numbers sectors by their place in the file: what moves is encrypted anew. The old AES numbers them by their
 * place on the disk, and stays as it is.
 */
async function cipherOf(
  image: OpenImage,
  { passphrase, cryptography }: CompactOptions,
): Promise<DiskCipher | undefined> {
  if (image.header.encryption !== 'luks') return undefined;
  if (passphrase === undefined || cryptography === undefined) {
    throw new QsnapError(
      'ENCRYPTED',
      'clusters with LUKS are encrypted by their place, and no passphrase was given to move them',
      {
        file: image.source.label,
        actual: 'luks',
        hint: 'give the passphrase that the image was made with',
      },
    );
  }
  return unlock(image, passphrase, cryptography);
}

async function dedupedBy(
  source: SourceTables,
  survey: Survey,
  { geometry, isSameGrid }: CompactTarget,
  cipher: DiskCipher | undefined,
  { dedupe, newHasher, signal }: CompactOptions,
): Promise<Deduped> {
  if (dedupe !== true || !isSameGrid) return { survey, clusters: 0 };
  const referencesMax = referencesMaxOf(geometry);
  return dedupeClusters(source, survey, { newHasher, cipher, referencesMax, signal });
}

type Tell = (phase: 'writing' | 'comparing', times: number) => (bytes: number) => void;

function progressOf(
  { format }: SourceTables,
  { references, packed }: Survey,
  { onProgress }: CompactOptions,
): Tell {
  const { clusterBytes } = format.geometry;
  const clusters = references.reduce((sum, count) => (count > 0 ? sum + 1 : sum), 0);
  const total = clusters * clusterBytes + packed.bytes.reduce((sum, bytes) => sum + bytes, 0);
  return (phase, times) => {
    let done = 0;
    return (bytes) => {
      done += bytes;
      onProgress?.(phase, Math.min(done, total * times), total * times);
    };
  };
}

interface WriteOptions extends CompactOptions {
  readonly onBytes: (bytes: number) => void;
}

type Written = DataTotals & Pick<CompactReport, 'newFileSizeBytes'>;

async function writeNew(
  source: SourceTables,
  survey: Survey,
  device: BlockDevice,
  target: CompactTarget,
  cipher: DiskCipher | undefined,
  options: WriteOptions,
): Promise<Written> {
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
    dedupeBy: options.dedupe === true ? options.newHasher : undefined,
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
  const newFileSizeBytes = clusters.length * clusterBytes;
  await device.truncate(newFileSizeBytes);
  await device.flush();
  const header = headerOf(image, target, l1s, { at: tableAt, count: disks.length - 1 }, area, luks);
  await device.writeBatch([{ at: 0, bytes: header }]);
  await device.flush();
  return { ...totals, newFileSizeBytes };
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

/** @throws QsnapError VERIFY_FAILED where a disk is not what it was. */
async function compared(
  source: SourceTables,
  survey: Survey,
  device: BlockSource,
  { isSameGrid }: CompactTarget,
  cipher: DiskCipher | undefined,
  options: CompactOptions,
  onBytes: (bytes: number) => void,
): Promise<readonly CompactDisk[]> {
  const image = stoppableImage(await openImage(device), options.signal, 'the comparison');
  const { before, now } = isSameGrid
    ? await digestedBoth(source, survey, image, cipher, options, onBytes)
    : await readBoth(source, image, options);
  for (const [i, disk] of before.entries()) {
    const same =
      disk.contentHash === now[i]?.contentHash && disk.vmStateHash === now[i].vmStateHash;
    if (!same || disk.diskSizeBytes !== now[i]?.diskSizeBytes) throw notTheSame(disk, device);
  }
  if (now.length !== before.length) throw notTheSame(now[before.length], device);
  return before;
}

interface BothDigests {
  readonly before: readonly CompactDisk[];
  readonly now: readonly CompactDisk[];
}

async function digestedBoth(
  source: SourceTables,
  survey: Survey,
  image: OpenImage,
  cipher: DiskCipher | undefined,
  { newHasher, decompressor, signal }: CompactOptions,
  onBytes: (bytes: number) => void,
): Promise<BothDigests> {
  const digest = { newHasher, decompressor, cipher, onBytes, signal };
  const made = await readSourceTables(image, image.snapshots);
  const now = await digestDisks(made, await surveyTables(made, signal), digest);
  return { now, before: await digestDisks(source, survey, digest) };
}

async function readBoth(
  { image: old, disks }: SourceTables,
  image: OpenImage,
  options: CompactOptions,
): Promise<BothDigests> {
  const now = await digestByReading(image, [undefined, ...image.snapshots], options);
  const snapshots = disks.map(({ snapshot }) => snapshot);
  return { now, before: await digestByReading(old, snapshots, options) };
}

function notTheSame(disk: CompactDisk | undefined, { label }: BlockSource): QsnapError {
  const { snapshot } = disk ?? {};
  const which = snapshot === undefined ? 'the active disk' : `the disk of snapshot ${snapshot.id}`;
  return new QsnapError('VERIFY_FAILED', `${which} of the new image is not what it was`, {
    structure: snapshot === undefined ? 'active L1' : 'snapshot L1',
    file: label,
    hint: 'the old image is as it was; please report this',
  });
}
