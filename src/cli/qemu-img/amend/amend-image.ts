/** The changes of `amend`, in QEMU's order. Each is an edit of its own. */
import {
  editWithinRoom,
  executePlan,
  isQsnapError,
  openImage,
  planResize,
  type EditPlan,
  type OpenImage,
  type OpenOptions,
} from '../../../index.js';
import { completeHeader, planDataFile, planLazyRefcounts, planVersion } from '../../../internal.js';
import type { WantedOptions } from './amend-options.js';
import { backingSizeOf } from '../create/backing-size.js';
import type { QemuImgIo } from '../disks/io.js';
import { resizeFailed } from '../messages.js';
import { AMEND, amendFailed } from '../messages/amend.js';
import type { EditableFile } from '../disks/opened.js';
import type { PercentLines } from '../percent-lines.js';
import { Refusal } from '../refusal.js';
import type { Target } from '../disks/target.js';
import { changeKeySlots, type Keyring } from './key-slots.js';

type Image = OpenImage<EditableFile>;
type MakePlan = (image: Image) => Promise<EditPlan<EditableFile> | undefined>;

/** What an image is amended with. */
export interface Amending {
  readonly target: Target;
  readonly keyring: Keyring;
  readonly io: QemuImgIo;
  readonly progress: PercentLines;
}

/** @throws Refusal at the first change that can't be made: those before it are made. */
export async function amendImage(
  file: EditableFile,
  wanted: WantedOptions,
  { target, keyring, io, progress }: Amending,
): Promise<void> {
  const { header, geometry } = await openImage(file);
  const version = wanted.version ?? header.version;
  const change = (plan: MakePlan): Promise<void> => makeChange(file, plan, io);
  if (version > header.version) {
    progress.at(0);
    progress.at(50);
    await change((image) => planVersion(image, version));
    progress.at(100);
  }
  if (wanted.keySlots !== undefined) await changeKeySlots(file, wanted.keySlots, keyring, io);
  const { refcountBits = geometry.refcountBits, lazyRefcounts, diskSizeBytes } = wanted;
  if (refcountBits !== geometry.refcountBits) {
    throw new Refusal(version < 3 ? AMEND.refcountBitsVersion : AMEND.otherRefcountBits);
  }
  const { dataFile } = wanted;
  if (dataFile !== undefined) await change((image) => planDataFile(image, dataFile));
  if (wanted.changesBacking) throw new Refusal(AMEND.backingFile);
  if (lazyRefcounts !== undefined && lazyRefcounts !== header.lazyRefcounts) {
    if (lazyRefcounts && version < 3) throw new Refusal(AMEND.lazyVersion);
    await change((image) => planLazyRefcounts(image, lazyRefcounts));
  }
  if (diskSizeBytes !== undefined) {
    await change((image) => planSize(image, diskSizeBytes, target));
  }
  if (version < header.version && header.externalDataFile && geometry.refcountBits === 16) {
    throw new Refusal(AMEND.downgradeDataFile);
  }
  if (version < header.version) await change((image) => planVersion(image, version));
}

async function makeChange(file: EditableFile, planOf: MakePlan, io: QemuImgIo): Promise<void> {
  let seen: Image | undefined;
  const make = async (how: OpenOptions): Promise<{ plan: EditPlan<EditableFile> | undefined }> => {
    seen = await openImage(file, how);
    return { plan: await planOf(seen) };
  };
  try {
    await editWithinRoom(file, make, async ({ plan }) => {
      if (plan === undefined) return;
      await io.interruptible((signal) => executePlan(plan, { signal }));
      await completeHeader(file, plan);
    });
  } catch (error) {
    throw seen === undefined ? error : amendFailed(error, seen);
  }
}

/** QEMU makes a disk smaller without a word; here that is refused. */
async function planSize(
  image: Image,
  size: bigint,
  target: Target,
): Promise<EditPlan<EditableFile> | undefined> {
  if (size < 0n) throw new Refusal(AMEND.negativeSize);
  const { diskSizeBytes: current } = image.header;
  if (size === BigInt(current)) return undefined;
  if (size % 512n === 0n && size < BigInt(current)) throw new Refusal(AMEND.shrinks(size, current));
  const bytes = await backingSizeOf(image, target.shown);
  try {
    return await planResize(image, {
      diskSizeBytes: Number(size),
      shrink: true,
      ...(bytes !== undefined && { backingSizeBytes: bytes }),
    });
  } catch (error) {
    throw isQsnapError(error) ? resizeFailed(error) : error;
  }
}
