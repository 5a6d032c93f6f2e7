import { clustersToHold } from '../../base/units.js';
import { encodeSwitch, type SwitchFields } from '../../qcow2/header.js';
import { SWITCH_FROM } from '../../qcow2/spec.js';
import { shadowWriteBytes, shadowWriteRanges, type Bound, type ShadowWrite } from '../tx/plan.js';
import { sizeAfter, type Stage, type StagedEdit } from '../tx/staged-plan.js';
import { keptAutoclear } from './autoclear.js';
import type { Begun } from './begin-in-place.js';
import { freedRanges } from './freed.js';
import { mendsOf } from './mends.js';

/** The header as it is, but for a shorter list and what else is told. */
export function headerWrite(
  { edit: { image }, unlisting }: Begun,
  fields: Partial<Pick<SwitchFields, 'activeL1' | 'refcountTable'>> = {},
): ShadowWrite {
  const { header, headerSector } = image;
  const bytes = encodeSwitch(header.version, headerSector, {
    diskSizeBytes: header.diskSizeBytes,
    activeL1: header.activeL1,
    refcountTable: header.refcountTable,
    snapshotTable: unlisting.table,
    autoclear: keptAutoclear(image),
    ...fields,
  });
  return { kind: 'literal', what: 'header', at: SWITCH_FROM, bytes };
}

/** A staged edit without what it is called. */
export type Staged = Omit<StagedEdit, 'operation' | 'summary' | 'created' | keyof Bound>;

/** The list's stages and those that come after them. All that gets free goes back to the host. */
export function assembled(begun: Begun, finish: readonly Stage[], mayLackFlags: boolean): Staged {
  const { edit, unlisting } = begun;
  const { image, counts, free, leakedClusters } = edit;
  const { header, headerSector, fileSizeBytes, geometry } = image;
  const prepare: Stage[] =
    unlisting.prepare.length === 0
      ? []
      : [{ what: 'write the shorter list to a free place', writes: unlisting.prepare }];
  const list = {
    what: 'take the snapshots off the list with one write',
    writes: [headerWrite(begun)],
  };
  const stages = [...prepare, list, ...finish];
  const freed = freedRanges(counts, free, geometry);
  const all = stages.flatMap(({ writes }) => writes);
  return {
    headerSector,
    fileSizeBytes,
    stages,
    unlists: prepare.length,
    mayLackFlags,
    punch: freed,
    facts: {
      shadowBytes: takenBytes(begun, finish),
      growthBytes: sizeAfter(all, fileSizeBytes) - fileSizeBytes,
      freedBytes: freed.reduce((sum, { length }) => sum + length, 0),
      freedDataBytes: stillFreeBytes(begun),
      leakedClusters,
      mends: mendsOf(image, edit.flagsWrong, {
        activeL1: false,
        snapshotTable: unlisting.table.at === header.snapshotTable.at,
      }),
    },
  };
}

/** Bytes of clusters that were free before, and are written to. */
function takenBytes({ edit, unlisting }: Begun, finish: readonly Stage[]): number {
  const { clusterBytes } = edit.image.geometry;
  const [table] = unlisting.prepare;
  const writes = finish.flatMap((stage) => stage.writes);
  return writes.flatMap(shadowWriteRanges).reduce(
    (sum, { at, length }) => {
      const isTaken = (i: number): boolean => edit.free.has(Math.floor(at / clusterBytes) + i);
      const clusters = Array.from({ length: clustersToHold(length, clusterBytes) }, (_, i) => i);
      return sum + clusters.filter(isTaken).length * clusterBytes;
    },
    table === undefined ? 0 : shadowWriteBytes(table),
  );
}

/** Bytes of guest data that only dropped snapshots had, and that no new table lies over. */
function stillFreeBytes({ edit, data }: Begun): number {
  const { clusterBytes } = edit.image.geometry;
  let bytes = 0;
  for (const { at, length } of data) {
    for (let done = 0; done < length; done += clusterBytes) {
      if (edit.counts.get((at + done) / clusterBytes) === 0) bytes += clusterBytes;
    }
  }
  return bytes;
}
