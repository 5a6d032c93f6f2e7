/**
 * The edits that the crash and hostile tests make, each with a model of what it must do: from what
 * the disks of an image hold before to what they hold after.
 */
import type { OpenImage } from '../../src/image/image.js';
import { planApply } from '../../src/edit/snapshot/apply.js';
import { planCreate } from '../../src/edit/snapshot/create.js';
import { planDelete } from '../../src/edit/snapshot/delete.js';
import { planRename } from '../../src/edit/snapshot/rename.js';
import type { EditPlan } from '../../src/edit/tx/plan.js';
import { readPlain } from './crash-judge-image.js';
import { checkPlain, contentsOf, type Content, type Contents } from './crash-judge.js';
import type { BlockSource } from '../../src/io/device.js';

export interface Edit {
  readonly name: string;
  /** How many snapshots an image must have for it. */
  readonly needs: number;
  readonly plan: <Source extends BlockSource>(
    image: OpenImage<Source>,
  ) => Promise<EditPlan<Source>>;
  readonly model: (before: Contents) => Contents;
}

const DATE = { seconds: 1_700_000_000, nanoseconds: 123_456_789 };
const NEW_NAME = 'between two states';
const hexOf = (text: string): string => Buffer.from(text).toString('hex');
const DATE_HEX = '6553f100' + '075bcd15' + '0'.repeat(16);

/** The entry of a snapshot of the active disk. Its id is free to be anything new. */
function taken(active: Content): Content {
  const facts = ['*', hexOf(NEW_NAME), DATE_HEX, 0, 'f'.repeat(16), active.facts].join(' ');
  return { facts, disk: active.disk, whole: active.disk };
}

/** The active disk once a snapshot is applied. */
function applied(snapshot: Content): Content {
  return { facts: snapshot.facts.split(' ').at(-1)!, disk: snapshot.disk, whole: snapshot.disk };
}

const create = { name: NEW_NAME, date: DATE };

export const EDITS: readonly Edit[] = [
  {
    name: 'create',
    needs: 0,
    plan: (image) => planCreate(image, create),
    model: ({ active, snapshots }) => ({ active, snapshots: [...snapshots, taken(active)] }),
  },
  {
    name: 'apply the first',
    needs: 1,
    plan: (image) => planApply(image, image.snapshots[0]!, { discardChanges: true }),
    model: ({ snapshots }) => ({ active: applied(snapshots[0]!), snapshots }),
  },
  {
    name: 'save and apply the last',
    needs: 1,
    plan: (image) => planApply(image, image.snapshots.at(-1)!, { saveAs: create }),
    model: ({ active, snapshots }) => ({
      active: applied(snapshots.at(-1)!),
      snapshots: [...snapshots, taken(active)],
    }),
  },
  {
    name: 'delete the first',
    needs: 1,
    plan: (image) => planDelete(image, [image.snapshots[0]!]),
    model: ({ active, snapshots }) => ({ active, snapshots: snapshots.slice(1) }),
  },
  {
    name: 'delete all but the first',
    needs: 2,
    plan: (image) => planDelete(image, image.snapshots.slice(1)),
    model: ({ active, snapshots }) => ({ active, snapshots: snapshots.slice(0, 1) }),
  },
  {
    name: 'rename the last',
    needs: 1,
    plan: (image) => planRename(image, image.snapshots.at(-1)!, NEW_NAME),
    model: ({ active, snapshots }) => {
      const last = snapshots.at(-1)!;
      const facts = last.facts.replace(/ [0-9a-f]* /, ` ${hexOf(NEW_NAME)} `);
      return { active, snapshots: [...snapshots.slice(0, -1), { ...last, facts }] };
    },
  },
];

/** The edits for which an image has snapshots enough. */
export function editsFor(file: Uint8Array): readonly Edit[] {
  const { length } = readPlain(file).snapshots;
  return EDITS.filter(({ needs }) => needs <= length);
}

/** One of the edits by its name. */
export function editNamed(name: string): Edit {
  const edit = EDITS.find((candidate) => candidate.name === name);
  if (edit === undefined) throw new Error(`no edit is called ${name}`);
  return edit;
}

function sameContent(found: Content, expected: Content): boolean {
  const facts = expected.facts.startsWith('* ')
    ? found.facts.replace(/^[0-9a-f]*/, '*')
    : found.facts;
  return facts === expected.facts && found.disk === expected.disk && found.whole === expected.whole;
}

/** Whether two images hold the same disks under the same names. */
export function sameContents(found: Contents, expected: Contents): boolean {
  return (
    sameContent(found.active, expected.active) &&
    found.snapshots.length === expected.snapshots.length &&
    found.snapshots.every((snapshot, i) => sameContent(snapshot, expected.snapshots[i]!))
  );
}

/** What an image may be after an edit, whole or cut short. */
export interface Allowed {
  /** Each of these is right. */
  readonly contents: readonly Contents[];
  /** The leaks that the image had before the edit. */
  readonly leaks: ReadonlyMap<number, number>;
}

/** In what the image falls short, in words; nothing for one that is sound and holds what it may. */
export function shortcomings(file: Uint8Array, allowed: Allowed): readonly string[] {
  const { corruptions, leaks } = checkPlain(file);
  const found = [...corruptions];
  for (const [cluster, surplus] of leaks) {
    const known = allowed.leaks.get(cluster) ?? 0;
    if (surplus > known) found.push(`cluster ${cluster} leaks ${surplus}, before ${known}`);
  }
  // A check that can't read the image at all has said so.
  if (corruptions.some((text) => text.startsWith('unreadable'))) return found;
  const contents = contentsOf(file);
  if (!allowed.contents.some((one) => sameContents(contents, one))) {
    found.push('the disks hold neither the old nor the new content');
  }
  return found;
}
