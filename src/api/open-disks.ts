import { utf8Bytes } from '../base/text.js';
import { QsnapError } from '../errors.js';
import type { OpenImage } from '../image/image.js';
import type { ReadableImage } from '../image/open-for-reading.js';
import type { Snapshot } from '../qcow2/snapshot-table.js';
import type { GuestDisk } from '../read/guest/disk.js';
import { openGuestDisk } from '../read/guest/open-guest-disk.js';
import { settled } from '../io/settled.js';
import { readableSnapshot } from './current-image.js';
import type { DiskOptions, OpenQcowOptions, SnapshotChoice } from './options.js';
import { QcowDisk } from './qcow-disk.js';

/** The disks of one image that are open. */
export class OpenDisks {
  readonly #options: OpenQcowOptions;
  readonly #disks = new Set<QcowDisk>();

  /** @param options what the image was opened with. */
  constructor(options: OpenQcowOptions) {
    this.#options = options;
  }

  /** @throws QsnapError as `QcowImage.disk`. */
  async open(
    image: ReadableImage,
    choice: SnapshotChoice | undefined,
    options: DiskOptions,
  ): Promise<QcowDisk> {
    const opened = await openChosenDisk(image, choice, options, this.#options);
    const onClose = (closed: QcowDisk): void => {
      this.#disks.delete(closed);
    };
    const sizeBytes = await opened.guest.sizeBytes();
    const disk = new QcowDisk({ ...opened, sizeBytes, image, onClose });
    this.#disks.add(disk);
    return disk;
  }

  /** Closes all that are still open. */
  async close(): Promise<void> {
    await settled([...this.#disks].map((disk) => disk.close()));
  }
}

/** An open disk, and the snapshot that it is of; undefined: the active disk. */
interface ChosenDisk {
  readonly guest: GuestDisk;
  readonly snapshot: Snapshot | undefined;
}

async function openChosenDisk(
  image: ReadableImage,
  choice: SnapshotChoice | undefined,
  { passphrase, backing }: DiskOptions,
  { decompressor, cryptography, gate }: OpenQcowOptions,
): Promise<ChosenDisk> {
  const snapshot = choice === undefined ? undefined : readableSnapshot(image, choice);
  if (backing === true && gate === undefined) throw noGate(image);
  const guest = await openGuestDisk(image, {
    snapshot,
    decompressor,
    cryptography,
    passphrase: typeof passphrase === 'string' ? utf8Bytes(passphrase) : passphrase,
    gate: backing === true ? gate : undefined,
  });
  return { guest, snapshot };
}

function noGate({ source }: OpenImage): QsnapError {
  return new QsnapError('BACKING_REFUSED', 'nothing here opens the files that an image names', {
    file: source.label,
    hint: 'give a gate when you open the image: `openImageFile` of qsnap/node has one',
  });
}
