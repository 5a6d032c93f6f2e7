import {
  executePlan,
  memoryDevice,
  openImage,
  type EditPlan,
  type OpenImage,
} from '../../../../src/index.js';
import { checkImage } from '../../../support/image-builder.js';
import { buildImage, type BuildOptions, guestWrite } from '../../../support/image-builder.js';
import type { BlockDevice } from '../../../../src/io/device.js';

export const DATE = { seconds: 1_700_000_000, nanoseconds: 123_456_789 };

/** An image of 64 cells of 4 KiB, of which some hold a byte each. */
export function imageWith(
  fills: Readonly<Record<number, number>>,
  options: Partial<BuildOptions> = {},
): Uint8Array {
  const disk = { bytes: buildImage(options) };
  for (const [cell, fill] of Object.entries(fills)) guestWrite(disk, Number(cell), fill);
  return disk.bytes;
}

/** The guest writes one cell more. */
export function written(bytes: Uint8Array, cell: number, fill: number): Uint8Array {
  const disk = { bytes: bytes.slice() };
  guestWrite(disk, cell, fill);
  return disk.bytes;
}

/** The image as it is opened from bytes. */
export function opened(bytes: Uint8Array): Promise<OpenImage> {
  return openImage(memoryDevice(bytes));
}

/** The bytes after an edit; the plain checker has found them sound, without a leak. */
export async function edited(
  bytes: Uint8Array,
  plan: (image: OpenImage<BlockDevice>) => Promise<EditPlan<BlockDevice>>,
): Promise<Uint8Array> {
  const device = memoryDevice(bytes);
  await executePlan(await plan(await openImage(device)));
  const after = device.snapshotBytes();
  const { corruptions, leaks } = checkImage(after);
  if (corruptions.length + leaks.length > 0) throw new Error([...corruptions, ...leaks].join('\n'));
  return after;
}

/** The code of the error that a promise ends in; 'done' when it ends well. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'done';
  } catch (error) {
    return String((error as { code?: unknown }).code ?? error);
  }
}
