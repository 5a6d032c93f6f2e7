/** VM state that stays when the snapshot that it was saved with loses it or is deleted, and no list shows. */
import {
  findVmState,
  isQsnapError,
  openImage,
  type BlockSource,
  type MappedVmState,
  type OpenImage,
  type PlannedGroupEdit,
  type Snapshot,
} from '../../index.js';
import { describeSnapshot } from '../../internal.js';
import { exactSizeText } from '../text.js';

/** Where VM state goes with what is deleted: that which other disks map, and no entry tells of. */
export async function stayingVmState(
  image: OpenImage,
  doomed: readonly Snapshot[],
): Promise<readonly MappedVmState[]> {
  return stayingOf(await findVmState(image), doomed);
}

function stayingOf(
  mapped: readonly MappedVmState[],
  doomed: readonly Snapshot[],
): readonly MappedVmState[] {
  // They may be of an earlier reading of the image.
  const positions = new Set(doomed.map(({ index }) => index));
  const isDoomed = ({ snapshot }: MappedVmState): boolean =>
    snapshot !== undefined && positions.has(snapshot.index);
  if (!mapped.some(isDoomed)) return [];
  return mapped.filter((one) => !isDoomed(one) && one.behindBytes > 0);
}

/** Tells of an image of a group what VM state stays in it; undefined where nothing is deleted. */
export type StayingInGroup = (
  image: PlannedGroupEdit['images'][number],
) => readonly MappedVmState[] | undefined;

export const NOTHING_STAYS: StayingInGroup = () => undefined;

/** Looks at the images of a group before snapshots are deleted: which ones, a record of the edit may have to tell. */
export async function stayingInGroup(sources: readonly BlockSource[]): Promise<StayingInGroup> {
  const before = new Map<string, readonly MappedVmState[]>();
  for (const source of sources) before.set(source.label, await vmStateOf(source));
  return ({ file, chosen }) => stayingOf(before.get(file) ?? [], chosen);
}

async function vmStateOf(source: BlockSource): Promise<readonly MappedVmState[]> {
  try {
    return await findVmState(await openImage(source));
  } catch (error) {
    // The edit is refused for it, and says so of this image.
    if (isQsnapError(error)) return [];
    throw error;
  }
}

export function stayingLines(staying: readonly MappedVmState[]): string[] {
  if (staying.length === 0) return [];
  const lines = staying.map(({ snapshot, behindBytes }) => {
    const disk =
      snapshot === undefined ? 'the active disk' : `snapshot ${describeSnapshot(snapshot)}`;
    const size = exactSizeText(behindBytes);
    return `Memory of a guest stays in the image: ${disk} maps ${size} of VM state that no entry tells of.`;
  });
  return [...lines, '`qsnap strip` takes it out.'];
}

/** docs/schema/edit.json. */
export function stayingJson(staying: readonly MappedVmState[]): Record<string, unknown> {
  return {
    'staying-vm-state': staying.map(({ snapshot, behindBytes }) => ({
      disk: snapshot === undefined ? 'active' : 'snapshot',
      ...(snapshot !== undefined && { 'snapshot-id': snapshot.id, 'snapshot-name': snapshot.name }),
      bytes: behindBytes,
    })),
  };
}
