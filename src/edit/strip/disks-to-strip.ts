import { hex } from '../../base/words.js';
import { isQsnapError, QsnapError } from '../../errors.js';
import type { OpenImage } from '../../image/image.js';
import { l1EntriesFor } from '../../qcow2/geometry.js';
import { describeSnapshot } from '../../qcow2/describe-snapshot.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';
import { SNAPSHOT_EXTRA_BYTES_V3 } from '../../qcow2/spec.js';
import type { VmStateOptions } from '../../read/vmstate/source.js';
import { openVmState } from '../../read/vmstate/vm-state.js';
import { findBehind, findVmState } from '../../refs/vm-state.js';

const WHOLE_HINT = 'take it out whole, or name other snapshots';

/** Which VM state is taken out. */
export interface StripOptions extends Pick<
  VmStateOptions,
  'decompressor' | 'cryptography' | 'passphrase'
> {
  /** Whose; without it that of all snapshots and of the active disk. */
  readonly snapshots?: readonly Snapshot[] | undefined;
  /** All of it, so that QEMU loads no machine from these snapshots any more. Default: what no entry tells of. */
  readonly whole?: boolean;
}

/** A disk that loses VM state, and how much it keeps. */
export interface StrippedDisk {
  /** Undefined: the active disk. */
  readonly snapshot: Snapshot | undefined;
  readonly keptBytes: number;
}

/** The disks that have VM state to take out. */
export async function disksToStrip(
  image: OpenImage,
  options: StripOptions,
): Promise<readonly StrippedDisk[]> {
  const { snapshots, whole = false } = options;
  const mapped = await findVmState(image, snapshots);
  for (const { snapshot, behindBytes } of mapped) {
    if (snapshot !== undefined && (whole || behindBytes > 0)) refuseUnknownSize(snapshot);
  }
  if (whole) {
    const told = (snapshots ?? image.snapshots).filter(({ vmStateBytes }) => vmStateBytes > 0);
    const disks = new Set([...mapped.map(({ snapshot }) => snapshot), ...told]);
    return [...disks].map((snapshot) => ({ snapshot, keptBytes: 0 }));
  }
  const behind = mapped.filter(({ behindBytes }) => behindBytes > 0);
  const kept = new Map<Snapshot, number>();
  for (const { snapshot } of behind) {
    // QEMU loads nothing from the active disk, nor where an entry tells of no VM state.
    if (snapshot === undefined || snapshot.vmStateBytes === 0) continue;
    kept.set(snapshot, await loadedBytes(image, snapshot, options));
  }
  const told = (snapshot: Snapshot): number => kept.get(snapshot) ?? snapshot.vmStateBytes;
  const isLonger = [...kept].some(([snapshot, bytes]) => bytes > snapshot.vmStateBytes);
  const left = isLonger ? await findBehind(image, snapshots, told) : behind;
  return left
    .filter(({ behindBytes }) => behindBytes > 0)
    .map(({ snapshot }) => ({ snapshot, keptBytes: snapshot ? told(snapshot) : 0 }));
}

/**
 * Refuses a snapshot of which nobody knows where its disk ends: version 2 need not say it, and if the active disk had
 * another size then, guest data would be taken for VM state.
 */
function refuseUnknownSize(snapshot: Snapshot): void {
  if (snapshot.extraData.length >= SNAPSHOT_EXTRA_BYTES_V3) return;
  throw new QsnapError(
    'VM_STATE_INVALID',
    `the entry of snapshot ${describeSnapshot(snapshot)} does not tell where its VM state begins`,
    {
      structure: 'snapshot table',
      ...{ snapshotId: snapshot.id, snapshotName: snapshot.name },
      at: snapshot.at,
      expected: 'extra data with the size of its disk',
    },
  );
}

/**
 * How far QEMU reads the VM state of a snapshot: with mapped-ram, far behind the size that the entry tells.
 *
 * @throws QsnapError VM_STATE_INVALID where the stream's end can't be found, and as `openVmState`.
 */
async function loadedBytes(
  image: OpenImage,
  snapshot: Snapshot,
  options: StripOptions,
): Promise<number> {
  const { geometry } = image;
  const expected = l1EntriesFor(snapshot.diskSizeBytes, geometry) * geometry.l2CoverageBytes;
  const state = await openedState(image, snapshot, options);
  try {
    const { start } = state.source;
    const { streamBytes, problems } = state.survey;
    if (start === expected && streamBytes !== undefined) {
      return Math.max(snapshot.vmStateBytes, streamBytes);
    }
    const [problem] = problems;
    throw new QsnapError(
      'VM_STATE_INVALID',
      `nobody can tell where the VM state of snapshot ${describeSnapshot(snapshot)} ends, so that none of it is taken out`,
      {
        structure: 'VM state',
        ...{ snapshotId: snapshot.id, snapshotName: snapshot.name },
        ...(problem !== undefined && { at: problem.at }),
        expected: `a whole stream at the guest offset ${hex(expected)}`,
        actual: problem?.text ?? `one at ${hex(start)}`,
        hint: WHOLE_HINT,
      },
    );
  } finally {
    await state.close();
  }
}

async function openedState(
  image: OpenImage,
  snapshot: Snapshot,
  options: StripOptions,
): ReturnType<typeof openVmState> {
  try {
    return await openVmState(image, snapshot, options);
  } catch (error) {
    // What does not begin as a stream has no end either.
    if (!isQsnapError(error) || error.code !== 'VM_STATE_INVALID') throw error;
    throw error.with({ hint: WHOLE_HINT });
  }
}
