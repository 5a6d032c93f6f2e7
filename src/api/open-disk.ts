import { utf8Bytes } from '../base/text.js';
import { QsnapError } from '../errors.js';
import type { Image } from '../image/image.js';
import type { ReadableImage } from '../image/open-for-reading.js';
import type { Snapshot } from '../qcow2/snapshot-table.js';
import type { GuestDisk } from '../read/guest/disk.js';
import { openGuestDisk } from '../read/guest/open-guest-disk.js';
import { readableSnapshot } from './current-image.js';
import type { DiskOptions, OpenQcowOptions, SnapshotChoice } from './options.js';

/** An open disk, and the snapshot that it is of; undefined: the active disk. */
interface ChosenDisk {
  readonly guest: GuestDisk;
  readonly snapshot: Snapshot | undefined;
}

/**
 * Opens the disk that was chosen, with what the image was opened with.
 *
 * @throws QsnapError as `QcowImage.disk`.
 */
export async function openChosenDisk(
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

function noGate({ source }: Image): QsnapError {
  return new QsnapError('BACKING_REFUSED', 'nothing here opens the files that an image names', {
    file: source.label,
    hint: 'give a gate when you open the image: `openImageFile` of qsnap/node has one',
  });
}
