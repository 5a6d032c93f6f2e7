import { encodeStruct } from '../../base/struct.js';
import type { OpenImage } from '../../image/image.js';
import type { BlockSource } from '../../io/device.js';
import type { Stoppable } from '../../io/stoppable.js';
import { featureNamesFor } from '../../qcow2/encode-feature-names.js';
import { conformingEntry } from '../../qcow2/snapshot-table.js';
import {
  EXTENSION_TYPE,
  HEADER_V2,
  HEADER_V2_BYTES,
  HEADER_V3,
  HEADER_V3_BYTES_WRITTEN,
  REFCOUNT_ORDER_V2,
  SNAPSHOT_EXTRA_BYTES_V3,
} from '../../qcow2/spec.js';
import { rawExtension } from '../header/header-area.js';
import { headerPlan, readFirstCluster, type HeaderPlan } from '../header/header-plan.js';
import { layHeader } from '../header/lay-header.js';
import { keptSnapshots } from '../plan/next-state.js';
import { planEdit } from '../plan/plan-edit.js';
import type { PlacedEdit } from '../plan/plan-of.js';
import { refuseUnfit } from '../plan/refuse.js';
import { planTablesOfV2 } from './plan-tables-v2.js';

/**
 * Plans to write the image as one of another version. All disks stay as they are.
 *
 * Version 3 asks for 16 bytes of extra data in each snapshot entry. Version 2 has no flag for zeros: an entry that has it
 * becomes unallocated, or, over a backing file, one of a cluster of zeros. Its features go, and the names of these.
 *
 * ```ts
 * const plan = await planVersion(image, 3);
 * if (plan !== undefined) await executePlan(plan);
 * ```
 *
 * @returns undefined where the image has this version already.
 * @throws QsnapError DOWNGRADE_REFUSED, BITMAPS_PRESENT, ENCRYPTED where version 2 can't have what the image has;
 *   LIMIT_EXCEEDED where the header has no room; and what `planCreate` throws of the image.
 */
export async function planVersion<Source extends BlockSource>(
  image: OpenImage<Source>,
  version: 2 | 3,
  planning: Stoppable = {},
): Promise<HeaderPlan<Source> | undefined> {
  refuseUnfit(image);
  if (image.header.version === version) return undefined;
  const placed = await (version === 2 ? planTablesOfV2 : planEntriesOfV3)(image, planning);
  const before = await readFirstCluster(image);
  const { backingName } = image.header;
  const names = version === 3 ? featureNamesFor(image.geometry.clusterBytes) : [];
  const kept = image.extensions
    .map(rawExtension)
    .filter(({ type }) => type !== EXTENSION_TYPE.featureNames);
  const laid = layHeader(before, {
    headerBytes: version === 3 ? HEADER_V3_BYTES_WRITTEN : HEADER_V2_BYTES,
    autoclear: version === 3 ? 0n : undefined,
    set: (bytes) => {
      if (placed !== undefined) bytes.set(placed.switch.bytes, placed.switch.at);
      encodeStruct(HEADER_V2, { version }, bytes);
      if (version === 3) setNewFields(bytes);
    },
    extensions: [...kept, ...names],
    name:
      backingName.at === 0
        ? undefined
        : before.slice(backingName.at, backingName.at + backingName.bytes),
  });
  return headerPlan(image, before, laid, `make it an image of version ${version}`, placed);
}

/** Where version 2 has extensions. */
function setNewFields(bytes: Uint8Array): void {
  bytes.fill(0, HEADER_V2_BYTES, HEADER_V3_BYTES_WRITTEN);
  const fields = { refcountOrder: REFCOUNT_ORDER_V2, headerBytes: HEADER_V3_BYTES_WRITTEN };
  encodeStruct(HEADER_V3, fields, bytes);
}

/** The snapshot table that version 3 asks for; undefined where it is that already. */
async function planEntriesOfV3(
  image: OpenImage,
  planning: Stoppable,
): Promise<PlacedEdit | undefined> {
  const { snapshots, header } = image;
  if (snapshots.every(({ extraData }) => extraData.length >= SNAPSHOT_EXTRA_BYTES_V3)) {
    return undefined;
  }
  const next = {
    diskSizeBytes: header.diskSizeBytes,
    activeL1: undefined,
    snapshots: keptSnapshots(image).map(({ l1 }, index) => ({
      entry: conformingEntry(snapshots[index]!, 3),
      l1,
    })),
  };
  const request = { operation: 'set', summary: 'complete the entries', created: [] } as const;
  return planEdit(image, { ...request, next: () => next }, planning);
}
