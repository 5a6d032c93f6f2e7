import { QsnapError } from '../../errors.js';
import { refuseUnread, type OpenImage } from '../../image/image.js';
import { tableFormat } from '../../image/table-format.js';
import { openImage } from '../../image/open.js';
import { ownSnapshot } from '../../image/own-snapshot.js';
import { refuseEdited } from '../../image/refuse-edited.js';
import { openForReading } from '../../image/open-for-reading.js';
import type { BlockSource } from '../../io/device.js';
import { settled } from '../../io/settled.js';
import { tellsHoles } from '../../io/holes.js';
import { l1EntriesFor } from '../../qcow2/geometry.js';
import { LIMITS } from '../../qcow2/limits.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';
import { ChainGuard, looksLikeQcow2 } from './backing.js';
import type { GuestDisk, Loss } from './disk.js';
import type { Gate } from './gate.js';
import { L2Tables } from './l2-tables.js';
import type { Backing, DiskCipher, LayerDisk } from './layer.js';
import type { Cryptography, Decompressor } from './platform.js';
import { isPreallocated } from './preallocation.js';
import { Qcow2Disk } from './qcow2-disk.js';
import { openRawLayer } from './raw-disk.js';
import { tableMapOf } from './table-map.js';
import { unlock } from './unlock.js';

const SECTOR_BYTES = 512;

/** What a disk is read with. All optional: what is missing is asked for by name when it is needed. */
export interface GuestDiskOptions {
  /** The disk as it was in this snapshot, and as long as it was then; undefined: the active disk. */
  readonly snapshot?: Snapshot | undefined;
  readonly decompressor?: Decompressor | undefined;
  readonly cryptography?: Cryptography | undefined;
  /** Of this image; what is below has its own, by the gate. */
  readonly passphrase?: Uint8Array | undefined;
  /** Opens backing and data files. Without one, nothing that the image names is opened. */
  readonly gate?: Gate | undefined;
  /**
   * Read as QEMU does:
   *
   * - reserved bits in table entries are ignored, and bytes past the end of the file read as zeros; otherwise both
   *   are errors;
   * - disks count in sectors: a qcow2 disk ends with its last whole one, the last one of a raw file is filled up;
   * - extents tell holes below mapped clusters (`preallocated`). If the system can't tell holes, they are looked
   *   for by reading, in files of up to 16 GiB.
   */
  readonly tolerant?: boolean | undefined;
  /** Extents go on past damage, and tell it as `unreadable`. */
  readonly unreadableExtents?: boolean | undefined;
  /**
   * With it, reads go on past damage: entries that can't be right, data past the end of the file, clusters that
   * can't be unpacked, and sectors that the medium can't read. Lost bytes read as zeros, and each loss is told
   * here, every time that its bytes are read.
   */
  readonly onLost?: ((loss: Loss) => void) | undefined;
}

/**
 * Opens the disk that is in an image, for reading. Images that are marked dirty or corrupt can be
 * read; refcounts are not looked at.
 *
 * ```ts
 * const image = await openImage(device);
 * const disk = await openGuestDisk(image, { decompressor: nodeDecompressor() });
 * const into = new Uint8Array(512);
 * await disk.readBatch([{ at: 0, into }]);
 * await disk.close();
 * ```
 *
 * @throws QsnapError IMAGE_CHANGED, SNAPSHOT_STALE, TABLE_INVALID, PASSPHRASE_WRONG, UNSUPPORTED_ENCRYPTION; with a gate also
 *   BACKING_REFUSED, BACKING_LOOP, OPEN_FAILED and what is wrong with an image below.
 */
export async function openGuestDisk(
  image: OpenImage,
  options: GuestDiskOptions = {},
): Promise<GuestDisk> {
  return openLayer(image, options, await ChainGuard.from(image.source));
}

/**
 * Opens all that the L1 table of a snapshot maps, VM state behind the end of the disk included. Nothing below the image
 * is read: no other file has VM state of it.
 *
 * @throws QsnapError as `openGuestDisk`.
 */
export async function openAllMapped(
  image: OpenImage,
  options: GuestDiskOptions & { readonly snapshot: Snapshot },
): Promise<GuestDisk> {
  const guard = await ChainGuard.from(image.source);
  return openLayer(image, options, guard, { allMapped: true });
}

/** Where the VM state of a snapshot begins: at the first L1 entry that maps no guest data. */
export function vmStateAt({ geometry }: OpenImage, { diskSizeBytes }: Snapshot): number {
  return l1EntriesFor(diskSizeBytes, geometry) * geometry.l2CoverageBytes;
}

async function openLayer(
  image: OpenImage,
  options: GuestDiskOptions,
  guard: ChainGuard,
  { allMapped = false } = {},
): Promise<LayerDisk> {
  const { header, source, fileSizeBytes } = image;
  const { gate } = options;
  const snapshot = options.snapshot && ownSnapshot(image, options.snapshot);
  const tolerant = options.tolerant === true;
  refuseEdited(image);
  refuseUnread(image, snapshot);
  const format = tableFormat(image);
  const exactBytes =
    allMapped && snapshot !== undefined
      ? mappedEnd(image, snapshot)
      : (snapshot?.diskSizeBytes ?? header.diskSizeBytes);
  const diskSizeBytes = tolerant ? exactBytes - (exactBytes % SECTOR_BYTES) : exactBytes;
  const opened: { close(): Promise<void> }[] = [];
  const close = async (): Promise<void> => {
    await settled(opened.splice(0).map((one) => one.close()));
  };
  const kept = <T extends { close(): Promise<void> }>(one: T): T => {
    opened.push(one);
    return one;
  };
  try {
    const tables = await L2Tables.open(image, snapshot?.l1 ?? header.activeL1, {
      structure: snapshot === undefined ? 'active L1' : 'snapshot L1',
      diskSizeBytes,
      format,
      tolerant,
      goesOn: options.unreadableExtents === true || options.onLost !== undefined,
    });
    const cipher = await cipherOf(image, options);
    const external = header.externalDataFile;
    const data = external ? await gate?.openDataFile(image).then(kept) : source;
    const backing: Backing = allMapped
      ? { kind: 'none' }
      : await openBacking(image, options, guard, kept);
    let hasHoles: Promise<boolean> | undefined;
    return new Qcow2Disk({
      image,
      tables,
      map: tableMapOf(format, fileSizeBytes, external, tolerant),
      diskSizeBytes,
      data,
      cipher,
      decompressor: options.decompressor,
      dataEnd: tolerant ? Infinity : ((await data?.sizeBytes()) ?? Infinity),
      unreadableExtents: options.unreadableExtents === true,
      onLost: options.onLost,
      backing,
      hasHoles: () => (hasHoles ??= looksForHoles(image, data, tolerant)),
      close,
    });
  } catch (error) {
    await close();
    throw error;
  }
}

/** Where the last byte ends that the L1 table of a snapshot can map. */
function mappedEnd({ geometry }: OpenImage, { l1 }: Snapshot): number {
  const bytes = l1.entries * geometry.l2CoverageBytes;
  return Number.isSafeInteger(bytes) ? bytes : Number.MAX_SAFE_INTEGER;
}

/**
 * Whether to look for holes below mapped clusters: only what has to match QEMU does it. Where nobody can
 * tell them, all clusters would have to be read, which is not done in files that would take minutes.
 */
async function looksForHoles(
  image: OpenImage,
  data: BlockSource | undefined,
  tolerant: boolean,
): Promise<boolean> {
  if (!tolerant || data === undefined || image.header.encryption !== 'none') return false;
  if (!(await isPreallocated(image))) return false;
  return (
    (await tellsHoles(data)) || (await data.sizeBytes()) <= LIMITS.preallocationLookBytesMax.value
  );
}

async function cipherOf(
  image: OpenImage,
  options: GuestDiskOptions,
): Promise<DiskCipher | undefined> {
  const { passphrase, cryptography } = options;
  if (image.header.encryption === 'none' || passphrase === undefined) return undefined;
  if (cryptography === undefined) {
    throw new QsnapError('UNSUPPORTED_ENCRYPTION', 'nothing here decrypts guest data', {
      actual: image.header.encryption,
      hint: 'give cryptography: qsnap/node and qsnap/web have it',
    });
  }
  return unlock(image, passphrase, cryptography);
}

async function openBacking(
  image: OpenImage,
  options: GuestDiskOptions,
  guard: ChainGuard,
  kept: <T extends { close(): Promise<void> }>(one: T) => T,
): Promise<Backing> {
  if (image.backingNameBytes === undefined) return { kind: 'none' };
  if (options.gate === undefined) return { kind: 'closed' };
  const layer = await options.gate.openBacking(image);
  kept(layer.source);
  const below = guard.below(image, layer);
  const disk = kept(await openBelow(layer, options, below));
  return { kind: 'open', disk, sizeBytes: await disk.sizeBytes() };
}

async function openBelow(
  layer: { source: BlockSource; format: 'qcow2' | 'raw' | undefined; passphrase?: Uint8Array },
  options: GuestDiskOptions,
  guard: ChainGuard,
): Promise<LayerDisk> {
  const { source, format, passphrase } = layer;
  const isQcow2 = format === 'qcow2' || (format === undefined && (await looksLikeQcow2(source)));
  if (!isQcow2) return openRawLayer(source, options);
  // QEMU opens no layer whose snapshot table it can't read.
  const image = await (options.tolerant === true ? openImage(source) : openForReading(source));
  return openLayer(image, { ...options, snapshot: undefined, passphrase }, guard);
}
