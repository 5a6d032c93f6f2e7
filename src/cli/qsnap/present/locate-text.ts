import {
  partitionAt,
  type Image,
  type LocatedCluster,
  type LocatedEntry,
  type LocatedGuest,
  type Owner,
  type PartitionTable,
  type Snapshot,
} from '../../../index.js';
import { describeSnapshot, printableText } from '../../../internal.js';
import { countText, hexText } from '../../text.js';

function diskText(snapshot: Snapshot | undefined): string {
  return snapshot === undefined ? 'active disk' : describeSnapshot(snapshot);
}

/** Lines of where a guest offset of one disk lies. */
export function guestLines(located: LocatedGuest, isExternal: boolean): readonly string[] {
  const { snapshot, guestOffset, isVmState, l1, l2 } = located;
  const behind = isVmState ? ', behind the end of the disk' : '';
  return [
    `${diskText(snapshot)}, guest ${hexText(guestOffset)}${behind}: ${contentText(located, isExternal)}`,
    ...(l1 === undefined ? [] : [entryLine('L1', l1)]),
    ...(l2 === undefined ? [] : [entryLine('L2', l2)]),
  ];
}

/** Which partition a guest offset lies in, where that was asked for. */
export function partitionLines(
  { guestOffset }: LocatedGuest,
  table: PartitionTable | 'none' | undefined,
): readonly string[] {
  if (table === undefined) return [];
  if (table === 'none') return ['  the disk has no partition table'];
  const found = partitionAt(table, guestOffset);
  if (found === undefined) return [`  in no partition of the ${table.scheme}`];
  const { number, type, name, start } = found;
  const named = name === undefined ? '' : ` "${printableText(name)}"`;
  const offset = guestOffset - start;
  const sector = Math.floor(offset / table.sectorBytes);
  return [
    `  in partition ${number}${named} of the ${table.scheme}, type ${type}, from ${hexText(start)}: ` +
      `${hexText(offset)} into it, its sector ${sector}`,
  ];
}

function contentText(located: LocatedGuest, isExternal: boolean): string {
  const { kind, hostOffset, isInFile, packedBytes, subcluster, copied } = located;
  if (kind === 'outside') return 'no L1 entry';
  const parts = [
    kind,
    ...(hostOffset === undefined
      ? []
      : [`host ${hexText(hostOffset)}${isExternal ? ' of the data file' : ''}`]),
    ...(isInFile ? [] : ['past the end of the file']),
    ...(packedBytes === undefined ? [] : [`in sectors of ${countText(packedBytes, 'byte')}`]),
    ...(subcluster === undefined ? [] : [`subcluster ${subcluster}`]),
    ...(copied ? ['COPIED'] : []),
  ];
  return parts.join(', ');
}

function entryLine(table: string, { index, at, stored, problem }: LocatedEntry): string {
  const place = `  ${table} entry ${index} at ${hexText(at)}`;
  if (stored === undefined) return `${place} ${problem ?? ''}`;
  const bits = stored.toString(16).padStart(16, '0');
  const wrong = problem === undefined ? '' : `  wrong: it ${problem}`;
  return `${place}: ${bits}${wrong}`;
}

/** Lines of who has a host cluster. */
export function clusterLines(
  found: LocatedCluster,
  offset: number,
  image: Pick<Image, 'snapshots' | 'geometry' | 'fileSizeBytes'>,
): readonly string[] {
  const { cluster, at, isInFile, refcount, refcountAt, references, ownersLeftOut } = found;
  const inCluster = offset - at;
  const where = refcountAt === undefined ? 'no refcount block' : `stored at ${hexText(refcountAt)}`;
  const count =
    refcount === undefined
      ? `its refcount lies past the end of the file, at ${hexText(refcountAt!)}`
      : `refcount ${refcount} (${where})`;
  const end = isInFile
    ? `, in which the file ends at ${hexText(image.fileSizeBytes)}`
    : ', past the end of the file';
  return [
    `cluster ${cluster} at ${hexText(at)}${offset < image.fileSizeBytes ? '' : end}: ` +
      `${count}, ${countText(references, 'reference')}`,
    ...found.owners.map((owner) => `  ${ownerText(owner, inCluster, image)}`),
    ...(ownersLeftOut === 0 ? [] : [`  and ${ownersLeftOut} more`]),
  ];
}

function ownerText(
  { kind, snapshot, at, guestOffset }: Owner,
  inCluster: number,
  { snapshots }: Pick<Image, 'snapshots'>,
): string {
  const isOfDisk = guestOffset !== undefined || kind === 'active-l2' || snapshot !== undefined;
  const of = isOfDisk
    ? ` of ${diskText(snapshot === undefined ? undefined : snapshots[snapshot])}`
    : '';
  // Packed data begins anywhere: only its cluster is told.
  const within = kind === 'compressed-data' ? 0 : inCluster;
  const guest = guestOffset === undefined ? '' : `, guest ${hexText(guestOffset + within)}`;
  return `${kind}${of}${guest}, by ${hexText(at)}`;
}
