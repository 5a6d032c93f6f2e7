/** Judges what is left of a damaged image and its repair, or of undoing it, after a cut or a fault. */
import { DECIDED } from './damage.js';
import { createHash } from 'node:crypto';
import { isQsnapError } from '../../src/errors.js';
import { memoryDevice } from '../../src/io/memory.js';
import { newSha256 } from '../../src/node/sha256.js';
import type { RepairChoice } from '../../src/edit/repair/choice.js';
import { proposeRepair } from '../../src/edit/repair/propose.js';
import { executePlan } from '../../src/edit/tx/execute.js';
import type { EditPlan } from '../../src/edit/tx/plan.js';
import { saveUndo } from '../../src/edit/tx/save-undo.js';
import { sameContents } from './crash-judge-edits.js';
import { Unreadable } from './crash-judge-image.js';
import { checkPlain, contentsOf, type Contents } from './crash-judge.js';
import { layoutOf } from './image-builder.js';
import { madeOn } from './plans.js';

/** All that a state is judged by. A disk that can't be read at all has no content to lose. */
export interface Side {
  readonly contents: Contents | undefined;
  readonly corruptions: ReadonlySet<string>;
  readonly header: Uint8Array;
}

export function sideOf(bytes: Uint8Array): Side {
  const corruptions = new Set(checkPlain(bytes).corruptions);
  const header = bytes.subarray(0, 512);
  try {
    return { contents: contentsOf(bytes), corruptions, header };
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    return { contents: undefined, corruptions, header };
  }
}

/** A damaged image, its repair, and what the undo file of it holds. */
export interface RepairCase {
  readonly damaged: Uint8Array;
  readonly repaired: Uint8Array;
  readonly plan: EditPlan;
  readonly growable: boolean;
  readonly undoFile: Uint8Array;
  readonly before: Side;
  readonly after: Side;
}

/** Mends all that a repair can mend; on files what it frees goes back to the host. */
const everything = (punch: boolean): RepairChoice => ({
  classes: ['all', 'leaks', 'perhaps-lost', 'unreadable'],
  findings: DECIDED,
  punch,
});
/** A device that can't grow needs some room for the copies. */
const ROOM_CLUSTERS = 48;

async function planned(bytes: Uint8Array, growable: boolean): Promise<EditPlan | undefined> {
  try {
    const device = memoryDevice(bytes, 'damaged', { growable });
    return (await proposeRepair(device, () => everything(growable))).plan;
  } catch (error) {
    if (!isQsnapError(error) || error.code !== 'NO_SPACE' || growable) throw error;
    return undefined;
  }
}

/**
 * The repair of a damaged image, made once where nothing disturbs it.
 *
 * @returns undefined where a medium of fixed size has no place that is surely free.
 */
export async function repairCase(
  bytes: Uint8Array,
  growable: boolean,
): Promise<RepairCase | undefined> {
  const { clusterBytes } = layoutOf(bytes);
  const clusters = Math.ceil(bytes.length / clusterBytes) + ROOM_CLUSTERS;
  const damaged = new Uint8Array(growable ? bytes.length : clusters * clusterBytes);
  damaged.set(bytes);
  const plan = await planned(damaged, growable);
  if (plan === undefined) return undefined;
  const device = memoryDevice(damaged, 'damaged', { growable });
  const file = memoryDevice();
  await saveUndo(device, plan, file, newSha256, { image: 'x', operation: 'repair' });
  await executePlan(madeOn(device, plan));
  const repaired = device.snapshotBytes();
  return {
    ...{ damaged, repaired, plan, growable },
    undoFile: file.snapshotBytes(),
    before: sideOf(damaged),
    after: sideOf(repaired),
  };
}

/** What was found of the states of one case: many cuts leave the same bytes. */
const judged = new WeakMap<RepairCase, Map<string, Side>>();

function sideOfState(state: Uint8Array, one: RepairCase): Side {
  const known = judged.get(one) ?? new Map<string, Side>();
  judged.set(one, known);
  const key = createHash('sha1').update(state).digest('base64');
  const side = known.get(key) ?? sideOf(state);
  // The header belongs to bytes that the caller may change; the rest is text and its own copies.
  known.set(key, { ...side, header: side.header.slice() });
  return side;
}

const sameSet = (a: ReadonlySet<string>, b: ReadonlySet<string>): boolean =>
  a.size === b.size && [...a].every((text) => b.has(text));

function sameDisks(found: Side, expected: Side): boolean {
  if (found.contents === undefined || expected.contents === undefined) {
    return found.contents === expected.contents;
  }
  return sameContents(found.contents, expected.contents);
}

/** In what a state is neither the damaged image nor the mended one; nothing for one that is. */
export function shortcomingOf(
  state: Uint8Array,
  one: RepairCase,
  may: 'before' | 'after' | 'either',
): string | undefined {
  const { damaged, growable, before, after } = one;
  const side = sideOfState(state, one);
  const isHeader = (of: Side): boolean => Buffer.compare(side.header, of.header) === 0;
  if (isHeader(before) && may !== 'after') {
    if (!sameDisks(side, before)) return 'the old header, and other content than it had';
    // A longer file may lend a bad entry a place to point at: its bytes tell that nothing changed.
    if (growable) {
      const old = Buffer.compare(state.subarray(512, damaged.length), damaged.subarray(512));
      return old === 0 && state.length >= damaged.length ? undefined : 'old bytes were changed';
    }
    return sameSet(side.corruptions, before.corruptions) ? undefined : 'other flaws than it had';
  }
  if (!isHeader(after) || may === 'before') return 'the header is not the one that is due';
  if (!sameDisks(side, after)) return 'the new header, and not what the repair makes';
  return sameSet(side.corruptions, after.corruptions) ? undefined : 'flaws that the repair has not';
}
