/** VM state that stays when the snapshot that it was saved with loses it or is deleted, and no list shows. */
import { findVmState, type MappedVmState, type OpenImage, type Snapshot } from '../../index.js';
import { describeSnapshot } from '../../internal.js';
import { exactSizeText } from '../text.js';

/** Where VM state goes with what is deleted: that which other disks map, and no entry tells of. */
export async function stayingVmState(
  image: OpenImage,
  doomed: readonly Snapshot[],
): Promise<readonly MappedVmState[]> {
  const mapped = await findVmState(image);
  // They may be of an earlier reading of the image.
  const positions = new Set(doomed.map(({ index }) => index));
  const isDoomed = ({ snapshot }: MappedVmState): boolean =>
    snapshot !== undefined && positions.has(snapshot.index);
  if (!mapped.some(isDoomed)) return [];
  return mapped.filter((one) => !isDoomed(one) && one.behindBytes > 0);
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
