/** What a delete in place may leave when it is killed, and that what it left can be mended. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { sameContents } from './crash-judge-edits.js';
import type { Contents } from './crash-judge.js';
import { isMissingFlag } from './crash-judge-stages.js';
import {
  copyWorkplace,
  NEW_NAME,
  programArgv,
  snapshotWords,
  type Workplace,
} from './outside-edits.js';
import { imageState, stockText, type ImageState } from './outside-judge.js';
import { ran, type KillCase } from './outside-kills.js';

export type Side = 'old' | 'new';

export interface InPlaceJudgement {
  readonly state: Side | 'neither';
  readonly short: string[];
}

/**
 * The old list or the new one, every disk whole, and refcounts that are too high at worst. Where the
 * delete sets flags as they lie, some may be missing once the list is the new one.
 */
export async function judgedInPlace(one: KillCase, found: ImageState): Promise<InPlaceJudgement> {
  const isOld = sameContents(found.contents, one.before.contents);
  if (!isOld && !sameContents(found.contents, one.after.contents)) {
    return { state: 'neither', short: ['neither the old list with its disks nor the new one'] };
  }
  const { corruptions, leaks } = found.verdict;
  const mayLackFlags = !isOld && (await foretellsMissingFlags(one));
  const worse = corruptions.filter((text) => !mayLackFlags || !isMissingFlag(text));
  const short = worse.map((text) => `worse than a leak: ${text}`);
  const { stock } = found;
  const agrees =
    stock.errors === 0 &&
    stock.leaks === leaks.size &&
    stock.corruptions > 0 === corruptions.length > 0;
  if (!agrees) short.push(`qemu-img check: ${stockText(stock)}`);
  return { state: isOld ? 'old' : 'new', short };
}

const foretold = new WeakMap<KillCase, Promise<boolean>>();

/** Whether flags are set where they lie, by what the program foretells. */
function foretellsMissingFlags(one: KillCase): Promise<boolean> {
  const answer = foretold.get(one) ?? foretell(one);
  foretold.set(one, answer);
  return answer;
}

async function foretell({ template, before, after }: KillCase): Promise<boolean> {
  const doomed = doomedBy(before.bytes, after.bytes);
  const words = ['delete', '--in-place', '--dry-run', '--json', template.image, ...doomed];
  const { code, stdout, stderr } = await ran(programArgv('qsnap', words));
  if (code !== 0) throw new Error(stderr);
  const { plan } = JSON.parse(stdout) as { plan: { stages: readonly { what: string }[] } };
  return plan.stages.some(({ what }) => what.startsWith('set the flags'));
}

/** Selectors of the snapshots that an edit takes away. */
function doomedBy(before: Uint8Array, after: Uint8Array): string[] {
  const left = new Set(snapshotWords(after, 'id'));
  return snapshotWords(before, 'id')
    .filter((id) => !left.has(id))
    .map((id) => `id:${id}`);
}

/**
 * A repair mends what was left, and edits go on. Without it the delete can be made again while the list
 * is the old one; from then on an edit is made or refused, since what the deleted had may look lost.
 */
export async function mendShortcomings(
  one: KillCase,
  place: Workplace,
  state: Side,
): Promise<string[]> {
  const spare = copyWorkplace(place, path.join(path.dirname(place.folder), 'spare'));
  const next = nextEdit(one, state);
  const mended = await repairShortcomings(
    spare,
    (state === 'old' ? one.before : one.after).contents,
  );
  if (mended.length > 0) return mended;
  return [
    ...(await editShortcomings(spare, next, 'must be made')),
    ...(await editShortcomings(place, next, state === 'old' ? 'must be made' : 'may be refused')),
  ];
}

async function repairShortcomings(place: Workplace, expected: Contents): Promise<string[]> {
  const words = ['repair', place.image, 'all', 'perhaps-lost'];
  const { code, stderr } = await ran(programArgv('qsnap', words));
  if (code !== 0) return [`repair: code ${code}: ${stderr}`];
  const { stock, contents } = await imageState(place);
  const short = stock.code === 0 ? [] : [`repaired, ${stockText(stock)}`];
  return sameContents(contents, expected) ? short : [...short, 'repaired: other disks or names'];
}

/** A usual edit, and what it leaves of the disks that were known before. */
interface NextEdit {
  readonly words: (image: string) => readonly string[];
  readonly known: Contents;
  readonly snapshots: number;
}

/** The same delete as usual; where it is done, one snapshot less, and where none is left, one more. */
function nextEdit(one: KillCase, state: Side): NextEdit {
  const { active, snapshots } = one.after.contents;
  const left = snapshotWords(one.after.bytes, 'id');
  const known = { active, snapshots: state === 'old' ? snapshots : snapshots.slice(0, -1) };
  if (state === 'new' && left.length === 0) {
    const words = (image: string) => ['create', image, `after ${NEW_NAME}`];
    return { words, known, snapshots: 1 };
  }
  const doomed =
    state === 'old' ? doomedBy(one.before.bytes, one.after.bytes) : [`id:${left.at(-1)!}`];
  const words = (image: string) => ['delete', image, ...doomed];
  return { words, known, snapshots: known.snapshots.length };
}

async function editShortcomings(
  place: Workplace,
  { words, known, snapshots }: NextEdit,
  or: 'must be made' | 'may be refused',
): Promise<string[]> {
  const bytes = readFileSync(place.image);
  const argv = words(place.image);
  const { code, stderr } = await ran(programArgv('qsnap', argv));
  if (code !== 0) {
    const isRefusal = or === 'may be refused' && stderr.includes('the image is damaged: ');
    const isUntouched = readFileSync(place.image).equals(bytes);
    return isRefusal && isUntouched ? [] : [`${argv[0]} after it: ${stderr}`];
  }
  const { contents, stock } = await imageState(place);
  const { active, snapshots: all } = contents;
  const found = { active, snapshots: all.slice(0, known.snapshots.length) };
  if (all.length !== snapshots || !sameContents(found, known)) {
    return [`${argv[0]} after it: other disks or names`];
  }
  return stock.corruptions > 0 ? [`${argv[0]} after it: ${stockText(stock)}`] : [];
}
