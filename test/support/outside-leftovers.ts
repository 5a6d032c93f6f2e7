/** What a killed edit has left, judged; and whether it can be made again. */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  commandOf,
  copyWorkplace,
  FULL_COUNTS,
  NEW_NAME,
  programArgv,
  snapshotWords,
  type Workplace,
} from './outside-edits.js';
import { judgedInPlace, mendShortcomings } from './outside-in-place.js';
import {
  differences,
  imageState,
  isNoImage,
  outputOf,
  sameStock,
  stockHashes,
  stockText,
} from './outside-judge.js';
import { ran, strike, watched, type Kill, type KillCase } from './outside-kills.js';
import { qemuIo } from './qemu.js';

/** What a kill left. */
export interface Leftover {
  readonly killed: boolean;
  /** `cut`: an output that nobody takes for an image. */
  readonly state: 'old' | 'new' | 'cut' | 'neither';
  /** Whether refcounts are too high, or flags missing, that were not so before and are not so after. */
  readonly leaks: boolean;
  readonly short: readonly string[];
}

/** Judges also by QEMU's own reading of every disk, and makes the edit again. */
export interface Depth {
  readonly hashes: boolean;
  readonly again: boolean;
}

/** Makes the edit, kills it, and judges what is left. */
export async function killed(one: KillCase, kill: Kill, depth: Depth): Promise<Leftover> {
  const folder = mkdtempSync(path.join(tmpdir(), 'qsnap-kill-'));
  try {
    const place = copyWorkplace(one.template, path.join(folder, 'killed'));
    const wasKilled = await strike(one, place, kill);
    const { state, leaks = false, short } = await judged(one, place);
    if (state !== 'neither') {
      const lock = await qemuIo(place.image, ['read 0 512'], { format: 'raw', okCodes: 'any' });
      if (lock.code !== 0) short.push(`QEMU can't open it for writing: ${lock.stderr}`);
      if (depth.hashes) short.push(...(await hashShortcomings(one, place, state)));
      if (depth.again) short.push(...(await editAgain(one, place, state)));
    }
    return { killed: wasKilled, state, leaks, short };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Judgement {
  readonly state: Leftover['state'];
  readonly leaks?: boolean;
  readonly short: string[];
}

async function judged(one: KillCase, place: Workplace): Promise<Judgement> {
  const found =
    one.edit.output === undefined ? await judgedImage(one, place) : judgedOutput(one, place);
  const known = new Set([...readdirSync(one.template.folder), 'image.qcow2']);
  for (const file of watched(one.edit, place).slice(1)) known.add(path.basename(file));
  const strays = readdirSync(place.folder).filter((name) => !known.has(name));
  if (strays.length > 0) found.short.push(`left beside the image: ${strays.join(', ')}`);
  return found;
}

async function judgedImage(one: KillCase, place: Workplace): Promise<Judgement> {
  const state = await imageState(place).catch((error: unknown) => String(error));
  if (typeof state === 'string') return { state: 'neither', short: [state] };
  const toOld = differences(state, one.before);
  if (toOld.length === 0) return { state: 'old', short: [] };
  const toNew = differences(state, one.after);
  if (toNew.length === 0) return { state: 'new', short: [] };
  if (one.edit.inPlace === true) return { ...(await judgedInPlace(one, state)), leaks: true };
  return { state: 'neither', short: [`to old: ${toOld.join('; ')}; to new: ${toNew.join('; ')}`] };
}

function judgedOutput(one: KillCase, place: Workplace): Judgement {
  const short: string[] = [];
  if (!readFileSync(place.image).equals(one.before.bytes)) short.push('the image was written to');
  const output = outputOf(one.edit, place);
  const { before, after } = one.outputs;
  const isOld = output === undefined ? before === undefined : before?.equals(output) === true;
  if (isOld) return { state: 'old', short };
  if (output !== undefined && after!.equals(output)) return { state: 'new', short };
  // Only convert writes where its output is to lie, as qemu-img does.
  if (one.edit.name === 'convert' && output !== undefined && isNoImage(output)) {
    return { state: 'cut', short };
  }
  return { state: 'neither', short: [...short, 'the output is neither the old nor the new one'] };
}

async function hashShortcomings(
  one: KillCase,
  place: Workplace,
  state: 'old' | 'new' | 'cut',
): Promise<string[]> {
  if (one.edit.output !== undefined || state === 'cut') return [];
  // QEMU would apply snapshots of an image whose refcounts are lost, to read them.
  if (one.edit.on === 'uncounted' && state === 'old') return [];
  const [found, expected] = [await stockHashes(place), await one.hashes(state)];
  return found.join() === expected.join() ? [] : ['QEMU reads something else than it should'];
}

/** The same edit once more, or where it was done, another one. */
async function editAgain(
  one: KillCase,
  place: Workplace,
  state: Leftover['state'],
): Promise<string[]> {
  const { edit } = one;
  if (edit.inPlace === true && (state === 'old' || state === 'new')) {
    return mendShortcomings(one, place, state);
  }
  if (edit.beside !== undefined && edit.on !== 'repaired') return undoAndRepair(one, place, state);
  if (edit.output !== undefined && state === 'new') return [];
  if (state === 'new' && edit.name !== 'undo') return anotherEdit(one, place);
  const { code, stderr } = await ran(commandOf(edit, place));
  if (code !== 0) return [`again: ${stderr}`];
  const found = await judged(one, place);
  const short = found.short.map((text) => `again: ${text}`);
  // Where the disk was the snapshot's already, old and new are one.
  const isOne = edit.output === undefined && differences(one.before, one.after).length === 0;
  if (found.state !== (isOne ? 'old' : 'new')) short.push(`again: ${found.state}`);
  const partial = readdirSync(place.folder).filter((name) => name.endsWith('qsnap-partial'));
  if (partial.length > 0) short.push(`again: left ${partial.join(', ')}`);
  return short;
}

async function anotherEdit(one: KillCase, place: Workplace): Promise<string[]> {
  if (one.edit.on !== 'sound') return [];
  const [doomed] = one.fixture === FULL_COUNTS ? snapshotWords(one.after.bytes, 'id') : [];
  const words =
    doomed === undefined
      ? ['create', place.image, `after ${NEW_NAME}`]
      : ['delete', place.image, `id:${doomed}`];
  const { code, stderr } = await ran(programArgv('qsnap', words));
  if (code !== 0) return [`another edit: ${stderr}`];
  const { stock, contents } = await imageState(place);
  const more = contents.snapshots.length - one.after.contents.snapshots.length;
  const isDone = more === (doomed === undefined ? 1 : -1);
  const isRight = sameStock(stock, one.after.stock) && isDone;
  return isRight ? [] : [`another edit: ${stockText(stock)}`];
}

/** Whatever is left of the undo file, undoing gives the damaged image; then all goes as it should. */
async function undoAndRepair(
  one: KillCase,
  place: Workplace,
  state: Leftover['state'],
): Promise<string[]> {
  const file = path.join(place.folder, 'undo');
  const undone = await ran(programArgv('qsnap', ['undo', file, place.image]));
  const isDamaged = readFileSync(place.image)
    .subarray(0, one.before.bytes.length)
    .equals(one.before.bytes);
  if (state === 'new' && undone.code !== 0) return [`undo: ${undone.stderr}`];
  if (!isDamaged) return ['undo: not the bytes from before'];
  rmSync(file, { force: true });
  const { code, stderr } = await ran(commandOf(one.edit, place));
  if (code !== 0) return [`again: ${stderr}`];
  const after = await judged(one, place);
  return after.state === 'new' ? after.short : [`again: ${after.state}`, ...after.short];
}
