/**
 * Where two disks of an image differ, told by plain loops over every cluster of both: straight from the specification,
 * and sharing no code with the engine.
 */
import {
  COMPRESSED_BIT,
  COPIED_BIT,
  layoutOf,
  OFFSET_MASK,
  offsetAt,
  snapshotsOf,
  u64,
  ZERO_BIT,
  type PlainLayout,
} from './image-builder-layout.js';

export interface PlainRange {
  readonly start: number;
  readonly length: number;
  readonly kind: 'data' | 'zeroed' | 'unmapped';
}

/** A disk of an image; `index` of its snapshot, or undefined for the active one. */
interface PlainVirtualDisk {
  readonly l1At: number;
  readonly l1Entries: number;
  readonly diskSizeBytes: number;
}

/** Disks of more parts than this take plain loops too long. */
const PARTS_MAX = 200_000;

/** What a part of a disk is kept as: `none`, `zero`, or a text that says where its bytes lie. */
function stateAt(
  bytes: Uint8Array,
  layout: PlainLayout,
  disk: PlainVirtualDisk,
  guest: number,
): string {
  if (guest >= disk.diskSizeBytes) return 'ended';
  const { clusterBytes, extendedL2, version } = layout;
  const entryBytes = extendedL2 ? 16 : 8;
  const cluster = Math.floor(guest / clusterBytes);
  const perTable = clusterBytes / entryBytes;
  const l1Index = Math.floor(cluster / perTable);
  if (l1Index >= disk.l1Entries) return 'none';
  const l2At = offsetAt(bytes, disk.l1At + l1Index * 8);
  if (l2At === 0) return 'none';
  const at = l2At + (cluster % perTable) * entryBytes;
  const entry = u64(bytes, at);
  if ((entry & COMPRESSED_BIT) !== 0n) return `packed ${entry & ~COPIED_BIT}`;
  const host = entry & OFFSET_MASK;
  if (extendedL2) {
    const bitmap = u64(bytes, at + 8);
    const part = BigInt(Math.floor((guest % clusterBytes) / (clusterBytes / 32)));
    if (((bitmap >> part) & 1n) === 1n) return `at ${host}`;
    return ((bitmap >> (part + 32n)) & 1n) === 1n ? 'zero' : 'none';
  }
  if (version >= 3 && (entry & ZERO_BIT) !== 0n) return 'zero';
  return host === 0n ? 'none' : `at ${host}`;
}

/** The size of what entries tell apart: a cluster, or a subcluster. */
export function partBytesOf(bytes: Uint8Array): number {
  const { clusterBytes, extendedL2 } = layoutOf(bytes);
  return extendedL2 ? clusterBytes / 32 : clusterBytes;
}

/**
 * The ranges in which two disks differ, and what the second one has there. Undefined where there are more parts than
 * plain loops have time for.
 */
export function plainDiff(
  bytes: Uint8Array,
  a: number | undefined,
  b: number | undefined,
  hasBacking: boolean,
): readonly PlainRange[] | undefined {
  const layout = layoutOf(bytes);
  const { snapshots } = snapshotsOf(bytes);
  const one = a === undefined ? layout : snapshots[a]!;
  const two = b === undefined ? layout : snapshots[b]!;
  const part = partBytesOf(bytes);
  const end = Math.max(one.diskSizeBytes, two.diskSizeBytes);
  if (end / part > PARTS_MAX) return undefined;
  const found: { start: number; length: number; kind: PlainRange['kind'] }[] = [];
  const edges = [one.diskSizeBytes, two.diskSizeBytes];
  for (let start = 0; start < end;) {
    const next = (Math.floor(start / part) + 1) * part;
    const to = Math.min(next, end, ...edges.filter((edge) => edge > start));
    const [before, after] = [one, two].map((disk) => stateAt(bytes, layout, disk, start));
    const isZero = (state: string): boolean =>
      state === 'zero' || state === 'ended' || (state === 'none' && !hasBacking);
    if (before !== after && !(isZero(before!) && isZero(after!))) {
      const kind =
        after === 'zero' ? 'zeroed' : /^(none|ended)$/.test(after!) ? 'unmapped' : 'data';
      const last = found.at(-1);
      if (last !== undefined && last.kind === kind && last.start + last.length === start) {
        last.length += to - start;
      } else found.push({ start, length: to - start, kind });
    }
    start = to;
  }
  return found;
}
