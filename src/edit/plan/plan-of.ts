import { encodeSwitch, type SwitchFields } from '../../qcow2/header.js';
import { SWITCH_FROM } from '../../qcow2/spec.js';
import { shadowBytesOf, sizeAfterShadow, type DescribedPlan, type WritePlan } from '../tx/plan.js';
import type { AuditedEdit } from './audit.js';
import { keptAutoclear } from './autoclear.js';
import { freedRanges } from './freed.js';
import type { Ledger } from './ledger.js';
import { mendsOf } from './mends.js';
import type { OtherFirstSector } from './other-first-sector.js';

/** A plan without what it is called. */
export type PlacedEdit = WritePlan & Pick<DescribedPlan, 'facts'>;

/** The writes of an edit for which all has its place, and their numbers. */
export function planOf(
  { image, next, leakedClusters, flagsWrong }: AuditedEdit,
  places: Pick<SwitchFields, 'activeL1' | 'snapshotTable' | 'refcountTable'>,
  ledger: Ledger,
  sector?: OtherFirstSector,
): PlacedEdit {
  const { header, headerSector, fileSizeBytes, geometry } = image;
  const shadow = ledger.writes;
  const freed = freedRanges(ledger.counts, ledger.free, geometry);
  const freedBytes = freed.reduce((sum, range) => sum + range.length, 0);
  const freedDataBytes = freedBytes - ledger.freedMetadataClusters * geometry.clusterBytes;
  const { diskSizeBytes } = next;
  const kept = keptAutoclear(image);
  const autoclear = sector === undefined ? kept : sector.autoclear(kept);
  const fields = { ...places, diskSizeBytes, autoclear };
  const switched = encodeSwitch(header.version, sector?.bytes ?? headerSector, fields);
  const plan: WritePlan = {
    headerSector,
    fileSizeBytes,
    shadow,
    switch:
      sector === undefined
        ? { at: SWITCH_FROM, bytes: switched }
        : { at: 0, bytes: withFields(sector.bytes, switched) },
    freed,
    // Room that only tables had is what the next edit needs. Ours: docs/decisions/0005.
    punch: freedDataBytes > 0 ? freed : [],
  };
  return {
    ...plan,
    facts: {
      shadowBytes: shadowBytesOf(shadow),
      growthBytes: sizeAfterShadow(plan) - fileSizeBytes,
      freedBytes,
      freedDataBytes,
      leakedClusters,
      mends: mendsOf(image, flagsWrong, {
        activeL1: next.activeL1 === undefined,
        snapshotTable: places.snapshotTable.at === header.snapshotTable.at,
      }),
    },
  };
}

function withFields(sector: Uint8Array, fields: Uint8Array): Uint8Array {
  const bytes = sector.slice();
  bytes.set(fields, SWITCH_FROM);
  return bytes;
}
