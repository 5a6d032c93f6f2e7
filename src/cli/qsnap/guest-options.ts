import {
  backingName,
  QsnapError,
  type BlockSource,
  type GuestDisk,
  type GuestDiskOptions,
  type OpenImage,
} from '../../index.js';
import { printableText } from '../../internal.js';
import { nodeCryptography, nodeDecompressor } from '../../node/index.js';
import { isUrl } from '../remote/location.js';
import type { Context } from './context.js';
import { hostGate } from './host-gate.js';
import { readPassphrase } from './passphrase.js';

/** Flags of the commands that read guest data. */
export interface GuestFlags {
  readonly backing?: boolean;
  readonly passphraseFile?: string;
}

/** What guest data of an image is read with. */
export function guestOptions(
  { backing, passphraseFile }: GuestFlags,
  context: Context,
): Omit<GuestDiskOptions, 'snapshot'> {
  return {
    decompressor: nodeDecompressor(),
    cryptography: nodeCryptography(),
    ...(backing === true && { gate: hostGate(context) }),
    ...(passphraseFile !== undefined && { passphrase: readPassphrase(passphraseFile) }),
  };
}

/**
 * Refuses a disk that can't be read whole, before the work and not in the middle of it.
 *
 * @throws QsnapError BACKING_REFUSED where the image has a backing file and nobody said that it may
 *   be opened.
 */
export function refuseWithoutBacking(image: OpenImage, { backing }: GuestFlags): void {
  const name = backingName(image);
  if (name === undefined || backing === true) return;
  throw new QsnapError(
    'BACKING_REFUSED',
    `the disk needs the backing file "${printableText(name)}", which was not opened`,
    { file: image.source.label, hint: backingHint(image.source.label) },
  );
}

/** How a disk with a backing file is read, by the image that names it. */
export function backingHint(image: string): string {
  return isUrl(image)
    ? 'copy the image and what it names to this host, where --backing opens it'
    : 'if you trust the image, --backing opens what it names';
}

/** The open files that a disk is read from. */
export function filesOf(disk: GuestDisk): readonly BlockSource[] {
  return [disk, ...disk.chain].flatMap(({ sources }) => sources);
}
