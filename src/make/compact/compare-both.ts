import { sameBytes } from '../../base/text.js';
import { QsnapError } from '../../errors.js';
import type { OpenImage } from '../../image/image.js';
import { openImage } from '../../image/open.js';
import type { BlockSource } from '../../io/device.js';
import { stoppableImage } from '../../io/stoppable.js';
import type { DiskCipher } from '../../read/guest/layer.js';
import { digestDisks } from './content-digests.js';
import type { CompactDisk, CompactOptions } from './compact-options.js';
import { digestByReading } from './read-digests.js';
import { readSourceTables, type SourceTables } from './source-tables.js';
import { surveyTables, type Survey } from './survey.js';

/** What disks are read and hashed with. */
export interface CompareOptions extends CompactOptions {
  /** Both images have the same clusters, so that each can be read once. */
  readonly isSameGrid: boolean;
  readonly cipher: DiskCipher | undefined;
  readonly onBytes: (bytes: number) => void;
}

/** Hashes the disks of the old image. */
export function digestOld(
  source: SourceTables,
  survey: Survey,
  options: CompareOptions,
): Promise<readonly CompactDisk[]> {
  const snapshots = source.disks.map(({ snapshot }) => snapshot);
  return options.isSameGrid
    ? digestDisks(source, survey, digestOptions(options))
    : digestByReading(source.image, snapshots, options);
}

/**
 * Reads the new image from its header on, and hashes its disks.
 *
 * @throws QsnapError VERIFY_FAILED where a disk is not what it was.
 */
export async function compareNew(
  device: BlockSource,
  before: readonly CompactDisk[],
  options: CompareOptions,
): Promise<void> {
  const image = stoppableImage(await openImage(device), options.signal, 'the comparison');
  const now = await digestNew(image, options);
  for (const [i, disk] of before.entries()) {
    if (now[i] === undefined || !isSame(disk, now[i])) throw notTheSame(disk, device);
  }
  if (now.length !== before.length) throw notTheSame(now[before.length]!, device);
}

async function digestNew(
  image: OpenImage,
  options: CompareOptions,
): Promise<readonly CompactDisk[]> {
  if (!options.isSameGrid) {
    return digestByReading(image, [undefined, ...image.snapshots], options);
  }
  const made = await readSourceTables(image, image.snapshots);
  return digestDisks(made, await surveyTables(made, options.signal), digestOptions(options));
}

function digestOptions(options: CompareOptions): Parameters<typeof digestDisks>[2] {
  const { newHasher, decompressor, cipher, onBytes, signal } = options;
  return { newHasher, decompressor, cipher, onBytes, signal };
}

function isSame(a: CompactDisk, b: CompactDisk): boolean {
  const [one, other] = [a.snapshot, b.snapshot];
  const isNamedSame =
    one === undefined || other === undefined
      ? one === other
      : sameBytes(one.idBytes, other.idBytes) && sameBytes(one.nameBytes, other.nameBytes);
  return (
    isNamedSame &&
    a.diskSizeBytes === b.diskSizeBytes &&
    a.contentHash === b.contentHash &&
    a.vmStateHash === b.vmStateHash
  );
}

function notTheSame({ snapshot }: CompactDisk, { label }: BlockSource): QsnapError {
  const which = snapshot === undefined ? 'the active disk' : `the disk of snapshot ${snapshot.id}`;
  return new QsnapError('VERIFY_FAILED', `${which} of the new image is not what it was`, {
    structure: snapshot === undefined ? 'active L1' : 'snapshot L1',
    file: label,
    hint: 'the old image is as it was; please report this',
  });
}
