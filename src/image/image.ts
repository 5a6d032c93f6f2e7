import { utf8Text } from '../base/text.js';
import type { QsnapError } from '../errors.js';
import type { BlockSource } from '../io/device.js';
import type { PersistentBitmap } from '../qcow2/bitmap-directory.js';
import type { HeaderExtension } from '../qcow2/extensions.js';
import type { Geometry } from '../qcow2/geometry.js';
import type { Header } from '../qcow2/header.js';
import type { Snapshot } from '../qcow2/snapshot-table.js';

/** What an image says of itself: a value, true for the moment it was read. */
export interface Image {
  readonly fileSizeBytes: number;
  readonly header: Header;
  readonly geometry: Geometry;
  /** The first 512 bytes of the file (zeros where it is shorter): what the switch is made from. */
  readonly headerSector: Uint8Array;
  readonly extensions: readonly HeaderExtension[];
  /** The backing file's name as stored; never opened. */
  readonly backingNameBytes: Uint8Array | undefined;
  readonly snapshots: readonly Snapshot[];
  /** Length of the snapshot table in bytes; 0 without snapshots. */
  readonly snapshotTableBytes: number;
  /** Persistent bitmaps; empty when the image has none or marks them as not to be trusted. */
  readonly bitmaps: readonly PersistentBitmap[];
  /** What could not be read, of an image that was opened as far as possible; no edit takes one. */
  readonly unread?: readonly Unread[];
}

/**
 * An image with the open source that it was read from. An edit does not change it; open again to see the new
 * state.
 */
export interface OpenImage<Source extends BlockSource = BlockSource> extends Image {
  readonly source: Source;
  /** Edits that were begun through the source before the image was read. After another one it is stale. */
  readonly editsBefore: number;
  /** Whether an edit may make the file longer. */
  readonly mayGrow: boolean;
}

/** What a reader that goes as far as it can may have to leave out. */
export type UnreadStructure =
  | 'refcount table'
  | 'snapshot table'
  | 'snapshot'
  | 'active L1'
  | 'header extensions'
  | 'bitmap directory';

/** Something of an image that can't be read. */
export interface Unread {
  /** `snapshot`: the entry can be read, and the disk of it can't. */
  readonly structure: UnreadStructure;
  /** Position in the snapshot table: of the `snapshot`, or of the first entry that is lost. */
  readonly snapshot: number | undefined;
  /** Why; what somebody gets who asks for just that. */
  readonly reason: QsnapError;
}

/**
 * Refuses a disk of which an image that was opened as far as possible has no L1 table.
 *
 * @param snapshot undefined: the active disk.
 * @throws QsnapError the reason why it can't be read.
 */
export function refuseUnread({ unread }: Image, snapshot: Snapshot | undefined): void {
  const found = unread?.find(({ structure, snapshot: index }) => {
    if (snapshot === undefined) return structure === 'active L1';
    return structure === 'snapshot' && index === snapshot.index;
  });
  if (found !== undefined) throw found.reason;
}

/**
 * The backing file's name decoded as UTF-8, or undefined. Only a name: nothing opens it.
 *
 * ```ts
 * console.log(backingName(await openImage(device))); // 'base.qcow2'
 * ```
 *
 * Spec: Header.
 */
export function backingName(image: Image): string | undefined {
  return image.backingNameBytes === undefined ? undefined : utf8Text(image.backingNameBytes);
}

/**
 * The format that the image records for its backing file. Undefined where there is none, or an empty one: QEMU then guesses.
 *
 * ```ts
 * console.log(backingFormat(await openImage(device))); // 'qcow2', 'raw', or any other text
 * ```
 *
 * Spec: Header extensions.
 */
export function backingFormat(image: Image): string | undefined {
  const format = extensionText(image, 'backing-format');
  return format === '' ? undefined : format;
}

/**
 * The external data file's name, or undefined. Only a name: nothing opens it.
 *
 * ```ts
 * console.log(dataFileName(await openImage(device))); // 'disk.raw'
 * ```
 *
 * Spec: Header extensions.
 */
export function dataFileName(image: Image): string | undefined {
  return extensionText(image, 'data-file-name');
}

function extensionText(image: Image, kind: HeaderExtension['kind']): string | undefined {
  const extension = image.extensions.find((candidate) => candidate.kind === kind);
  return extension === undefined ? undefined : utf8Text(extension.bytes);
}
