import type { BlockSource, ByteRange } from '../../io/device.js';
import {
  shadowWriteRanges,
  type Bound,
  type DescribedPlan,
  type EditFacts,
  type ShadowWrite,
} from './plan.js';
import { previewPlan } from './preview.js';

/**
 * A change to an image that has no room for shadow and switch, as data: stages in their order, each of
 * them flushed before the next one begins. docs/crash-safety.md says what a cut after each leaves.
 */

/** Writes in any order, and then a flush. */
export interface Stage {
  /** What the stage does, as the rest of a line that begins with its number. */
  readonly what: string;
  readonly writes: readonly ShadowWrite[];
}

/** Stages of which one takes snapshots off the list. */
export interface StagedPlan {
  /** The header sector that the plan was made from; execution refuses when it has changed. */
  readonly headerSector: Uint8Array;
  /** The size that the file had then; execution refuses when it has another one. */
  readonly fileSizeBytes: number;
  readonly stages: readonly Stage[];
  /** Index of the stage that is the new list: one write inside the first sector. */
  readonly unlists: number;
  /** Whether a cut may leave COPIED flags unset, besides refcounts that are too high. */
  readonly mayLackFlags: boolean;
  /** Ranges that nothing refers to once all stages are done, and that go back to the host. */
  readonly punch: readonly ByteRange[];
}

/** A staged plan with what it means to people, for the device that it was made on alone. */
export interface StagedEdit<Source extends BlockSource = BlockSource>
  extends StagedPlan, Pick<DescribedPlan, 'summary' | 'created'>, Bound<Source> {
  readonly operation: 'delete';
  /** `shadowBytes`: what is written to clusters that were free before. */
  readonly facts: EditFacts;
}

/** Whether a write is one to the header: everything else leaves the first sector alone. */
export function isHeaderWrite(write: ShadowWrite): boolean {
  return shadowWriteRanges(write).some(({ at }) => at < 512);
}

/** The image as it will be once all stages are done, without writing anything. */
export function previewStages(source: BlockSource, plan: StagedPlan): BlockSource {
  const { headerSector } = plan;
  let { fileSizeBytes } = plan;
  return plan.stages.reduce((before, { writes }) => {
    const none = { switch: NOTHING, freed: [], punch: [] };
    const stage = { headerSector, fileSizeBytes, shadow: writes, ...none };
    fileSizeBytes = sizeAfter(writes, fileSizeBytes);
    return previewPlan(before, stage);
  }, source);
}

const NOTHING = { at: 24, bytes: new Uint8Array(0) };

/** The length of the file once these writes are done. */
export function sizeAfter(writes: readonly ShadowWrite[], sizeBytes: number): number {
  const ranges = writes.flatMap(shadowWriteRanges);
  return ranges.reduce((size, { at, length }) => Math.max(size, at + length), sizeBytes);
}
