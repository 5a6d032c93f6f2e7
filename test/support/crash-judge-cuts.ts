/** Runs an edit on a recording device and judges every image that a power cut could have left. */
import { isDeepStrictEqual } from 'node:util';
import { memoryDevice } from '../../src/io/memory.js';
import { openImage } from '../../src/image/open.js';
import { executePlan } from '../../src/edit/tx/execute.js';
import type { EditPlan } from '../../src/edit/tx/plan.js';
import { checkPlain, contentsOf, type Contents } from './crash-judge.js';
import { sameContents, shortcomings, type Edit } from './crash-judge-edits.js';
import { crashStates, recordingDevice, sinceDurable, type Recorded } from './recording-device.js';
import { madeOn } from './plans.js';

export interface CutOptions {
  readonly seed: number;
  readonly subsetLimit: number;
  readonly samples: number;
  /** Turns the engine's plan into the one to carry out, for tests of the tests. */
  readonly alterPlan?: (plan: EditPlan) => EditPlan;
  /** Turns what the engine did into what a worse one would have done, for tests of the tests. */
  readonly alterLog?: (log: readonly Recorded[], plan: EditPlan) => readonly Recorded[];
  /** Old and new are right at any time: what falls short then is neither. */
  readonly eitherSide?: boolean;
  /** Sees each state that was judged. */
  readonly visit?: (bytes: Uint8Array, isNew: boolean) => Promise<void> | void;
}

export interface CutReport {
  readonly states: number;
  /** Of the states that fell short: which, and in what. */
  readonly short: readonly string[];
}

/** What an image holds and is called, before or after an edit. */
interface Side {
  readonly contents: Contents;
  readonly names: readonly string[];
}

async function namesIn(bytes: Uint8Array): Promise<readonly string[]> {
  const { snapshots, header } = await openImage(memoryDevice(bytes));
  const names = snapshots.map(({ id, name, diskSizeBytes }) => `${id} ${name} ${diskSizeBytes}`);
  return [...names, String(header.diskSizeBytes)];
}

/** The recording of an edit. */
async function record(
  bytes: Uint8Array,
  edit: Edit,
  options: CutOptions,
): Promise<readonly Recorded[]> {
  const device = recordingDevice(bytes);
  const plan = await edit.plan(await openImage(device));
  const altered = options.alterPlan?.(plan) ?? plan;
  await executePlan(madeOn(device, altered));
  const log = sinceDurable(device.log, bytes);
  return options.alterLog?.(log, altered) ?? log;
}

/**
 * Makes the edit, then judges all states: each opens, is sound, leaks nothing new and holds the old
 * content before the switch was sent, the new one once it was flushed, one of the two in between.
 */
export async function cutEverywhere(
  bytes: Uint8Array,
  edit: Edit,
  options: CutOptions,
): Promise<CutReport> {
  const before: Side = { contents: contentsOf(bytes), names: await namesIn(bytes) };
  const { leaks } = checkPlain(bytes);
  const log = await record(bytes, edit, options);
  const contents = edit.model(before.contents);
  const after: Side = { contents, names: await namesAfter(bytes, edit) };
  const short: string[] = [];
  let states = 0;
  for (const state of crashStates(log, bytes, options)) {
    states += 1;
    const sides =
      options.eitherSide === true || state.barrier === 1
        ? [before, after]
        : [state.barrier === 0 ? before : after];
    const found = await judge(state.bytes, sides, leaks);
    if (found.length > 0) short.push(`${state.description}: ${found.join('; ')}`);
    if (found.length > 0 || options.visit === undefined) continue;
    const isNew = state.barrier > 0 && sameContents(contentsOf(state.bytes), contents);
    await options.visit(state.bytes, isNew);
  }
  return { states, short };
}

/** The names after an edit that nothing disturbed. */
async function namesAfter(bytes: Uint8Array, edit: Edit): Promise<readonly string[]> {
  const device = memoryDevice(bytes);
  await executePlan(await edit.plan(await openImage(device)));
  return namesIn(device.snapshotBytes());
}

async function judge(
  bytes: Uint8Array,
  sides: readonly Side[],
  leaks: ReadonlyMap<number, number>,
): Promise<readonly string[]> {
  try {
    const names = await namesIn(bytes);
    const side = sides.filter((candidate) => isDeepStrictEqual(candidate.names, names));
    if (side.length === 0) return [`the snapshots are ${names.join(', ')}`];
    return shortcomings(bytes, { contents: side.map((one) => one.contents), leaks });
  } catch (error) {
    return [`it does not open: ${String(error)}`];
  }
}
