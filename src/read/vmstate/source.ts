import { QsnapError } from '../../errors.js';
import { hex } from '../../base/words.js';
import type { OpenImage } from '../../image/image.js';
import { ownSnapshot } from '../../image/own-snapshot.js';
import type { BlockSource, ReadRequest } from '../../io/device.js';
import { l1EntriesFor } from '../../qcow2/geometry.js';
import { describeSnapshot } from '../../qcow2/describe-snapshot.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';
import { STREAM_MAGIC } from '../../vmstate/stream.js';
import { u32At } from '../../vmstate/window.js';
import { openAllMapped, type GuestDiskOptions } from '../guest/open-guest-disk.js';
import type { Loss } from '../guest/disk.js';

/** Beginnings of L2 tables that are looked at for a stream where it does not lie where it should. */
const TRIES_MAX = 64;

/** What VM state is read with. */
export interface VmStateOptions extends Pick<
  GuestDiskOptions,
  'decompressor' | 'cryptography' | 'passphrase'
> {
  /** As for a guest disk: reads go on past damage, with zeros in its place. */
  readonly onLost?: ((loss: Loss) => void) | undefined;
}

/** The bytes that a snapshot maps behind its disk: the stream, and what may lie behind its end. */
export class VmStateSource {
  readonly label: string;
  /** Guest offset of the first byte. */
  readonly start: number;
  /** Bytes that the snapshot's table says that the stream has. */
  readonly toldBytes: number;
  /** Bytes that L2 tables can map from there on. */
  readonly mappedBytes: number;
  readonly fileSizeBytes: number;
  readonly #disk: BlockSource;

  /** @param ends where what is mapped ends on the disk, and length of the file. */
  constructor(
    disk: BlockSource,
    start: number,
    toldBytes: number,
    ends: readonly [mapped: number, file: number],
  ) {
    this.label = disk.label;
    this.#disk = disk;
    this.start = start;
    this.toldBytes = toldBytes;
    this.mappedBytes = ends[0] - start;
    this.fileSizeBytes = ends[1];
  }

  /** As `readBatch` of a source; offsets count from the first byte of the stream. */
  readBatch(requests: readonly ReadRequest[]): Promise<void> {
    return this.#disk.readBatch(requests.map(({ at, into }) => ({ at: this.start + at, into })));
  }

  async close(): Promise<void> {
    await this.#disk.close();
  }
}

/**
 * Opens the VM state of a snapshot, whatever size its entry tells.
 *
 * @throws QsnapError where nothing behind the disk begins as a VM state: VM_STATE_INVALID if the entry tells of one, else
 *   VM_STATE_NOT_FOUND; and as `openGuestDisk`.
 */
export async function openVmStateSource(
  image: OpenImage,
  snapshot: Snapshot,
  options: VmStateOptions = {},
): Promise<VmStateSource> {
  const own = ownSnapshot(image, snapshot);
  const disk = await openAllMapped(image, { ...options, snapshot: own });
  try {
    const end = await disk.sizeBytes();
    const starts = startsOf(image, own, end);
    const heads = starts.map((at) => ({ at, into: new Uint8Array(4) }));
    for (const head of heads) {
      await disk.readBatch([head]);
      if (u32At(head.into, 0) !== STREAM_MAGIC) continue;
      return new VmStateSource(disk, head.at, own.vmStateBytes, [end, image.fileSizeBytes]);
    }
    throw noStream(own, starts);
  } catch (error) {
    await disk.close();
    throw error;
  }
}

function noStream(snapshot: Snapshot, starts: readonly number[]): QsnapError {
  const shown = describeSnapshot(snapshot);
  const details = {
    structure: 'VM state',
    ...{ snapshotId: snapshot.id, snapshotName: snapshot.name },
    expected: `"QEVM" at the guest offset ${hex(starts[0] ?? 0)}`,
    actual: starts.length === 0 ? 'nothing is mapped behind the disk' : 'something else',
  };
  if (snapshot.vmStateBytes > 0) {
    const message = `the VM state of snapshot ${shown} does not begin as QEMU begins one`;
    return new QsnapError('VM_STATE_INVALID', message, details);
  }
  return new QsnapError('VM_STATE_NOT_FOUND', `snapshot ${shown} has no VM state`, {
    ...details,
    hint: 'only what QEMU saved with the machine (savevm) has it',
  });
}

/**
 * Where a stream may begin: behind the disk as it was in the snapshot; where an entry of version 2 tells no size, or the
 * image was resized, behind the active disk, or at the next L1 entries.
 */
function startsOf({ header, geometry }: OpenImage, own: Snapshot, end: number): number[] {
  const first = l1EntriesFor(own.diskSizeBytes, geometry);
  const ofActive = l1EntriesFor(header.diskSizeBytes, geometry);
  const indexes = new Set([first, ofActive]);
  for (let i = 0; i < TRIES_MAX; i += 1) indexes.add(first + i);
  return [...indexes].map((index) => index * geometry.l2CoverageBytes).filter((at) => at < end);
}
