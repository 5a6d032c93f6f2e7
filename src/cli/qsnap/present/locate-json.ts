import {
  partitionAt,
  type Image,
  type LocatedCluster,
  type LocatedEntry,
  type LocatedGuest,
  type PartitionTable,
} from '../../../index.js';

/** Where a guest offset of one disk lies. docs/schema/locate.json. */
export function guestJson(located: LocatedGuest, isExternal: boolean): Record<string, unknown> {
  const { snapshot, isVmState, kind, l1, l2, copied, hostOffset } = located;
  const { packedBytes, subcluster } = located;
  return {
    ...(snapshot !== undefined && { snapshot: snapshot.id, index: snapshot.index }),
    kind,
    ...(isVmState && { 'vm-state': true }),
    ...(l1 !== undefined && { 'l1-entry': entryJson(l1) }),
    ...(l2 !== undefined && { 'l2-entry': entryJson(l2) }),
    ...(hostOffset !== undefined && { 'host-offset': hostOffset }),
    ...(isExternal && hostOffset !== undefined && { 'in-data-file': true }),
    ...(!located.isInFile && { 'in-file': false }),
    ...(packedBytes !== undefined && { 'packed-bytes': packedBytes }),
    ...(subcluster !== undefined && { subcluster }),
    ...(l2 !== undefined && { copied }),
  };
}

function entryJson({ index, at, stored, problem }: LocatedEntry): Record<string, unknown> {
  return {
    index,
    offset: at,
    ...(stored !== undefined && { hex: stored.toString(16).padStart(16, '0') }),
    ...(problem !== undefined && { problem }),
  };
}

/** Who has a host cluster. docs/schema/locate.json. */
export function clusterJson(
  found: LocatedCluster,
  { snapshots }: Pick<Image, 'snapshots'>,
): Record<string, unknown> {
  const { cluster, at, isInFile, refcount, refcountAt, references } = found;
  return {
    cluster,
    'cluster-offset': at,
    'in-file': isInFile,
    ...(refcount !== undefined && { refcount }),
    ...(refcountAt !== undefined && { 'refcount-offset': refcountAt }),
    references,
    owners: found.owners.map(({ kind, snapshot, at: entryAt, guestOffset }) => ({
      kind,
      ...(snapshot !== undefined && { snapshot: snapshots[snapshot]!.id, index: snapshot }),
      offset: entryAt,
      ...(guestOffset !== undefined && { 'guest-offset': guestOffset }),
    })),
    'owners-left-out': found.ownersLeftOut,
  };
}

/** Which partition a guest offset lies in, where that was asked for. docs/schema/locate.json. */
export function partitionJson(
  { guestOffset }: LocatedGuest,
  table: PartitionTable | 'none' | undefined,
): Record<string, unknown> {
  if (table === undefined) return {};
  const found = table === 'none' ? undefined : partitionAt(table, guestOffset);
  return {
    'guest-offset': guestOffset,
    'partition-table': table === 'none' ? 'none' : table.scheme,
    ...(found !== undefined && {
      partition: {
        number: found.number,
        type: found.type,
        ...(found.name !== undefined && { name: found.name }),
        start: found.start,
        length: found.length,
        offset: guestOffset - found.start,
      },
    }),
  };
}
