/** Deletes in place, and what is right to be left of one by a power cut. */
import { openImage } from '../../src/image/open.js';
import type { OpenImage } from '../../src/image/image.js';
import type { Snapshot } from '../../src/qcow2/snapshot-table.js';
import { planDeleteInPlace } from '../../src/edit/snapshot/delete.js';
import { executeStages } from '../../src/edit/tx/execute-stages.js';
import type { StagedEdit } from '../../src/edit/tx/staged-plan.js';
import { sameContents } from './crash-judge-edits.js';
import { readPlain } from './crash-judge-image.js';
import { checkPlain, contentsOf, type Contents } from './crash-judge.js';
import {
  blockAt,
  blockEntries,
  layoutOf,
  putRefcountAt,
  refcountOf,
} from './image-builder-layout.js';
import { crashStates, recordingDevice, sinceDurable } from './recording-device.js';
import { madeOn } from './plans.js';

export interface StagedDelete {
  readonly name: string;
  readonly needs: number;
  readonly drops: (index: number, count: number) => boolean;
}

export const DELETES: readonly StagedDelete[] = [
  { name: 'the first', needs: 1, drops: (index) => index === 0 },
  { name: 'the last', needs: 2, drops: (index, count) => index === count - 1 },
  { name: 'all but the first', needs: 3, drops: (index) => index > 0 },
  { name: 'every other', needs: 3, drops: (index) => index % 2 === 1 },
  { name: 'all', needs: 2, drops: () => true },
];

export function deletesFor(file: Uint8Array): readonly StagedDelete[] {
  const { length } = readPlain(file).snapshots;
  return DELETES.filter(({ needs }) => needs <= length);
}

export function planOf(image: OpenImage, { drops }: StagedDelete): Promise<StagedEdit> {
  const { snapshots } = image;
  const isDropped = ({ index }: Snapshot): boolean => drops(index, snapshots.length);
  return planDeleteInPlace(image, snapshots.filter(isDropped));
}

export function modelOf(before: Contents, { drops }: StagedDelete): Contents {
  const { active, snapshots } = before;
  return { active, snapshots: snapshots.filter((_, i) => !drops(i, snapshots.length)) };
}

/** The image in whole clusters, of which no more than `most` are free: all others count as used. */
export function withoutRoom(file: Uint8Array, most: number): Uint8Array {
  const layout = layoutOf(file);
  const { clusterBytes, refcountBits } = layout;
  const clusters = Math.ceil(file.length / clusterBytes);
  const bytes = new Uint8Array(clusters * clusterBytes);
  bytes.set(file);
  let free = 0;
  for (let cluster = 0; cluster < clusters; cluster++) {
    if (refcountOf(bytes, layout, cluster) !== 0n) continue;
    const block = blockAt(bytes, layout, cluster);
    if (free++ < most || block === 0) continue;
    putRefcountAt(bytes, block, refcountBits, cluster % blockEntries(layout), 1n);
    // Old tables in it would look like what was lost.
    bytes.fill(0, cluster * clusterBytes, (cluster + 1) * clusterBytes);
  }
  return bytes;
}

export interface StagedCut {
  readonly mayLackFlags: boolean;
  readonly states: number;
  /** States in which QEMU calls a missing flag a corruption. */
  readonly flagsMissing: number;
  readonly short: readonly string[];
}

/** Makes the delete on a medium of fixed length, and judges all states that a cut may leave. */
export async function cutStages(
  bytes: Uint8Array,
  one: StagedDelete,
  options: {
    readonly seed: number;
    readonly subsetLimit: number;
    readonly samples: number;
    readonly visit?: (state: Uint8Array, isNew: boolean) => Promise<void>;
  },
): Promise<StagedCut> {
  const device = recordingDevice(bytes, { growable: false });
  const plan = await planOf(await openImage(device), one);
  await executeStages(madeOn(device, plan));
  const { mayLackFlags } = plan;
  const old = contentsOf(bytes);
  const now = modelOf(old, one);
  const { leaks } = checkPlain(bytes);
  const short: string[] = [];
  let states = 0;
  let flagsMissing = 0;
  for (const state of crashStates(sinceDurable(device.log, bytes), bytes, options)) {
    states += 1;
    const { corruptions, leaks: left } = checkPlain(state.bytes);
    const contents = contentsOf(state.bytes);
    const isNew = sameContents(contents, now);
    const isDone = state.barrier >= plan.stages.length;
    const found = [
      ...corruptions.filter((text) => !mayLackFlags || !isNew || !isMissingFlag(text)),
      ...(isDone ? corruptions : []),
    ];
    if (corruptions.some(isMissingFlag)) flagsMissing += 1;
    if (!isNew && !sameContents(contents, old)) found.push('neither the old list nor the new one');
    if (isNew && state.barrier < plan.unlists) found.push('the new list before its time');
    if (!isNew && state.barrier > plan.unlists) found.push('the old list after its time');
    for (const [cluster, surplus] of isDone ? left : []) {
      if (surplus > (leaks.get(cluster) ?? 0)) found.push(`cluster ${cluster} leaks in the end`);
    }
    if (found.length > 0) short.push(`${state.description}: ${found.join('; ')}`);
    else await options.visit?.(state.bytes, isNew);
  }
  return { mayLackFlags, states, flagsMissing, short };
}

export const isMissingFlag = (text: string): boolean => text.startsWith('COPIED is missing');
