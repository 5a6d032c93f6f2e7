import type { BlockSource, ByteRange } from '../../io/device.js';
import type { TableContent } from '../tables/table-content.js';

/**
 * A change to an image as data: shadow, switch, tidy. Only `execute.ts` carries it out.
 * docs/crash-safety.md has the argument for why a cut at any moment leaves the old or the new state.
 */

/** Bytes that are known in full; `bytes` covers whole clusters. */
export interface LiteralWrite {
  readonly kind: 'literal';
  /** The structure by its field name, such as "active L1". */
  readonly what: string;
  readonly at: number;
  readonly bytes: Uint8Array;
}

/**
 * Many tables of one size, made while they are written so that they never lie in memory together.
 */
export interface TableWrites {
  readonly kind: 'tables';
  readonly what: string;
  readonly tableBytes: number;
  /** Where the tables go: host offsets, ascending. */
  readonly targets: Float64Array;
  /** Offsets of the tables that the new ones are made from; undefined: made from nothing. */
  readonly sources: Float64Array | undefined;
  /** What these lie in; undefined: the file itself. */
  readonly from?: BlockSource;
  /** What is made of each: values, from which `tableMaker` makes the bytes. */
  readonly content: TableContent;
}

/** One part of stage 1. */
export type ShadowWrite = LiteralWrite | TableWrites;

/** What an edit writes, in three stages with a flush after the first and the second. */
export interface WritePlan {
  /** The header sector that the plan was made from; execution refuses when it has changed. */
  readonly headerSector: Uint8Array;
  /** The size that the file had then; execution refuses when it has another one. */
  readonly fileSizeBytes: number;
  /** Stage 1: new copies in free clusters; the image does not point at them yet. */
  readonly shadow: readonly ShadowWrite[];
  /** Stage 2: the one write, inside the first sector, that makes the new state the image's. */
  readonly switch: { readonly at: number; readonly bytes: Uint8Array };
  /** Ranges that the old state uses and the new one leaves free. */
  readonly freed: readonly ByteRange[];
  /** Stage 3: ranges that the new state leaves free and that go back to the host. */
  readonly punch: readonly ByteRange[];
}

/** Numbers of a plan that people ask for. */
export interface EditFacts {
  /** Bytes that stage 1 writes. */
  readonly shadowBytes: number;
  /** Bytes by which the file grows; 0 when the new copies fit into free clusters. */
  readonly growthBytes: number;
  /** Bytes in host clusters that were used before the edit and are free after it. */
  readonly freedBytes: number;
  /** Of those, clusters that held guest data or VM state rather than metadata, in bytes. */
  readonly freedDataBytes: number;
  /** Clusters that count as used and that nothing refers to; an edit leaves them alone. */
  readonly leakedClusters: number;
  /** What a check calls corruption, and the edit sets right on its way; a repair says more itself. */
  readonly mends?: readonly MendedOnTheWay[];
}

/** COPIED flags of the active disk; entries of the snapshot table that lack what version 3 asks for. */
export type MendedOnTheWay = 'copied-flags' | 'snapshot-entries';

/**
 * Binds a plan to the open device and to the state of the image that it was made from. A plan made on a read-only
 * source can't be carried out: its type says so.
 */
export interface Bound<Source extends BlockSource = BlockSource> {
  readonly source: Source;
  /** Edits that were begun through the source before the image was read. */
  readonly editsBefore: number;
}

/** A plan with what it means to people. */
export interface DescribedPlan extends WritePlan {
  readonly operation:
    | 'create'
    | 'apply'
    | 'delete'
    | 'rename'
    | 'repair'
    | 'resize'
    | 'strip'
    | 'relocate'
    | 'set'
    | 'write';
  /** One sentence without a full stop: what the edit does. */
  readonly summary: string;
  readonly facts: EditFacts;
  /** Snapshots that the edit adds. */
  readonly created: readonly { readonly id: string; readonly name: string }[];
}

/** A plan of an edit, for the device that it was made on alone. */
export interface EditPlan<Source extends BlockSource = BlockSource>
  extends DescribedPlan, Bound<Source> {}

/** Binds a plan to what the image was read from. */
export function bound<Plan, Source extends BlockSource>(
  plan: Plan,
  { source, editsBefore }: Bound<Source>,
): Plan & Bound<Source> {
  return { ...plan, source, editsBefore };
}

/** The size of one shadow write in bytes. */
export function shadowWriteBytes(write: ShadowWrite): number {
  return write.kind === 'literal' ? write.bytes.length : write.tableBytes * write.targets.length;
}

/** The size of shadow writes together, in bytes. */
export function shadowBytesOf(writes: readonly ShadowWrite[]): number {
  return writes.reduce((sum, write) => sum + shadowWriteBytes(write), 0);
}

/** The byte ranges that a shadow write fills, neighbouring tables joined. */
export function shadowWriteRanges(write: ShadowWrite): readonly ByteRange[] {
  if (write.kind === 'literal') return [{ at: write.at, length: write.bytes.length }];
  const ranges: { at: number; length: number }[] = [];
  for (const at of write.targets) {
    const last = ranges.at(-1);
    if (last !== undefined && last.at + last.length === at) last.length += write.tableBytes;
    else ranges.push({ at, length: write.tableBytes });
  }
  return ranges;
}

/** The size of the file once stage 1 is written. */
export function sizeAfterShadow(plan: WritePlan): number {
  const ranges = plan.shadow.flatMap(shadowWriteRanges);
  return ranges.reduce((size, { at, length }) => Math.max(size, at + length), plan.fileSizeBytes);
}
