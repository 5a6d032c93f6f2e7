/** Every edit of a hostile image, on a copy of it in memory: refused, or made without harm. */
import {
  checkImage,
  executePlan,
  executeUndo,
  isQsnapError,
  memoryDevice,
  openImage,
  planApply,
  planCreate,
  planDelete,
  planRename,
  planResize,
  planStrip,
  proposeRepair,
  saveUndo,
  type CheckReport,
  type EditPlan,
  type OpenImage,
  type RepairChoice,
} from '../../../src/index.js';
import { newSha256 } from '../../../src/node/index.js';
import { pick, type Random } from '../../support/mutate.js';
import { UNDO_DIGEST_BYTES, withDigest } from '../../support/undo-files.js';
import type { Meter } from './meter.js';
import { contentOf, openDisk, RAW, type Content } from './reads.js';
import { SpecimenDevice, type Specimen } from './specimen.js';
import { madeOn } from '../../support/plans.js';

/** Findings that say of refcounts without references that something may be lost. */
const INFERRED: ReadonlySet<string> = new Set([
  'CLUSTERS_DOUBTED',
  'REFCOUNTS_CONTRADICT',
  'SHARED_DATA_UNREFERENCED',
  'TABLE_EMPTIED',
  'TABLE_UNREFERENCED',
]);

const DATE = { seconds: 1_700_000_000, nanoseconds: 123_456_789 };
const NEW = { name: 'between two states', date: DATE };
/** Disks whose content is compared before and after an edit. */
const DISKS = 4;

/** The disks of an image by what they are called: the active one, and snapshots by position. */
type Contents = ReadonlyMap<number | 'active', Content>;

interface Edit {
  readonly name: string;
  readonly needs: number;
  plan(image: OpenImage): Promise<EditPlan>;
  /** Where what a disk held before is to be found after; undefined where it may be gone. */
  where?(disk: number | 'active', snapshots: number): number | 'active' | undefined;
}

const same = (disk: number | 'active'): number | 'active' => disk;

const EDITS: readonly Edit[] = [
  { name: 'create', needs: 0, plan: (image) => planCreate(image, NEW), where: same },
  {
    name: 'apply the first',
    needs: 1,
    plan: (image) => planApply(image, image.snapshots[0]!, { discardChanges: true }),
    where: (disk) => (disk === 'active' ? undefined : disk),
  },
  {
    name: 'save and apply the last',
    needs: 1,
    plan: (image) => planApply(image, image.snapshots.at(-1)!, { saveAs: NEW }),
    where: (disk, snapshots) => (disk === 'active' ? snapshots : disk),
  },
  {
    name: 'delete the first',
    needs: 1,
    plan: (image) => planDelete(image, [image.snapshots[0]!]),
    where: (disk) => (disk === 'active' ? disk : disk === 0 ? undefined : disk - 1),
  },
  {
    name: 'delete all',
    needs: 1,
    plan: (image) => planDelete(image, image.snapshots),
    where: (disk) => (disk === 'active' ? disk : undefined),
  },
  {
    name: 'rename the last',
    needs: 1,
    plan: (image) => planRename(image, image.snapshots.at(-1)!, NEW.name),
    where: same,
  },
  { name: 'strip', needs: 0, plan: (image) => planStrip(image), where: same },
  {
    name: 'strip all VM states',
    needs: 1,
    plan: (image) => planStrip(image, { snapshots: image.snapshots, whole: true }),
    where: same,
  },
  {
    name: 'grow',
    needs: 0,
    plan: (image) => resized(image, 2 ** 24 + 512),
    where: (disk) => (disk === 'active' ? undefined : disk),
  },
  {
    name: 'shrink',
    needs: 0,
    plan: (image) => resized(image, -(2 ** 20 + 512)),
    where: (disk) => (disk === 'active' ? undefined : disk),
  },
];

function resized(image: OpenImage, by: number): Promise<EditPlan> {
  const sectors = Math.floor((image.header.diskSizeBytes + by) / 512);
  return planResize(image, { diskSizeBytes: Math.max(0, sectors * 512), shrink: true });
}

/** Makes each of the edits that the image has snapshots for. */
export async function editEverything(
  specimen: Specimen,
  image: OpenImage | undefined,
  before: CheckReport | undefined,
  random: Random,
  meter: Meter,
): Promise<void> {
  if (image !== undefined) {
    const contents = await contentsOf(image);
    for (const edit of EDITS) {
      if (edit.needs > image.snapshots.length) continue;
      await attempt(specimen, edit, before, contents, meter);
    }
  }
  await repair(specimen, before, random, meter);
}

/** What can be read without an error. */
async function contentsOf(image: OpenImage): Promise<Contents> {
  const contents = new Map<number | 'active', Content>();
  const disks = [undefined, ...image.snapshots.slice(0, DISKS)];
  if (image.snapshots.length > DISKS) disks.push(image.snapshots.at(-1));
  for (const snapshot of disks) {
    try {
      const disk = await openDisk(image, snapshot);
      contents.set(snapshot?.index ?? 'active', await contentOf(disk));
    } catch (error) {
      if (!isQsnapError(error)) throw error;
    }
  }
  return contents;
}

async function attempt(
  specimen: Specimen,
  edit: Edit,
  before: CheckReport | undefined,
  contents: Contents,
  meter: Meter,
): Promise<void> {
  const device = new SpecimenDevice(specimen);
  const image = await openImage(device);
  const plan = await meter.use(`plan: ${edit.name}`, () => edit.plan(image));
  if (device.isWritten) meter.fault(edit.name, 'a plan wrote');
  if (plan === undefined) return;
  if (RAW.test(plan.summary)) meter.fault(edit.name, `prints raw ${JSON.stringify(plan.summary)}`);
  if ((await executed(device, plan, edit.name, meter)) === undefined) return;
  const after = await meter.use(`check after ${edit.name}`, () => checkImage(device));
  judgeChecks(edit.name, before, after, plan, meter);
  const again = await meter.use(`open after ${edit.name}`, () => openImage(device));
  if (again === undefined) {
    meter.fault(edit.name, 'the image does not open afterwards');
    return;
  }
  await judgeContents(edit, again, image.snapshots.length, contents, meter);
}

/** Memory has no bad sectors: what was planned goes through. */
async function executed(
  device: SpecimenDevice,
  plan: EditPlan,
  name: string,
  meter: Meter,
): Promise<true | undefined> {
  const report = await meter.use(`execute: ${name}`, () => executePlan(madeOn(device, plan)));
  if (report !== undefined) return true;
  meter.fault(name, 'an accepted plan failed');
  return undefined;
}

/**
 * An accepted edit makes nothing worse. What could not be read before may be told apart now: as a
 * corruption, where the mapping was the error, or as a leak; so errors are counted together.
 */
function judgeChecks(
  name: string,
  before: CheckReport | undefined,
  after: CheckReport | undefined,
  { facts }: EditPlan,
  meter: Meter,
): void {
  if (after === undefined) meter.fault(name, 'the image can not be checked afterwards');
  if (before === undefined || after === undefined) return;
  const errors = ({ totals }: CheckReport): number => totals.corruptions + totals.checkErrors;
  // What refcounts that were too high hold back looks like a loss once nothing refers to it.
  const certain = ({ beyondQemu, findings, codesLeftOut }: CheckReport): number =>
    beyondQemu.corruptions -
    findings.filter(({ code }) => INFERRED.has(code)).length -
    codesLeftOut.reduce((sum, { code, count }) => sum + (INFERRED.has(code) ? count : 0), 0);
  // Leaks past the end of the file are no leaks to a check until the file has grown past them.
  const leaks = Math.max(before.totals.leaks, facts.leakedClusters);
  // What lies past the end counts nowhere, and once the file has grown past it, it does: then it is
  // seen what it lies over, and what it names.
  const hid = (codes: RegExp): boolean =>
    name.startsWith('repair') && before.findings.some(({ code }) => codes.test(code));
  // A repair counts it, so that nothing else comes to lie there; by these refcounts a check takes the file for one that
  // was cut off.
  const cutOff = Number(
    hid(/_PAST_END$/) && after.findings.some(({ code }) => code === 'FILE_CUT_OFF'),
  );
  const measures: Record<string, readonly [number, number]> = {
    errors: [errors(before), errors(after)],
    ...(!hid(/^METADATA_PAST_END$/) && {
      'errors and leaks': [errors(before) + leaks, errors(after) + after.totals.leaks],
    }),
    ...(!hid(/^METADATA_PAST_END$|^L1_ENTRY_PAST_END$/) && {
      'corruptions beyond QEMU': [certain(before) + cutOff, certain(after)],
    }),
  };
  for (const [what, [had, has]] of Object.entries(measures)) {
    if (has <= had) continue;
    const codes = ({ findings }: CheckReport): string =>
      findings
        .slice(0, 5)
        .map(({ code, at }) => `${code}@${at}`)
        .join(' ');
    meter.fault(name, `${what} from ${had} to ${has}: ${codes(after)} (before: ${codes(before)})`);
  }
}

async function judgeContents(
  edit: Edit,
  after: OpenImage,
  snapshots: number,
  contents: Contents,
  meter: Meter,
): Promise<void> {
  for (const [disk, content] of contents) {
    const where = edit.where!(disk, snapshots);
    if (where === undefined) continue;
    const snapshot = where === 'active' ? undefined : after.snapshots[where];
    const found = await meter.use(`read after ${edit.name}`, async () =>
      contentOf(await openDisk(after, snapshot)),
    );
    if (found !== content) {
      meter.fault(edit.name, `disk ${disk} held ${content} and now ${String(found)}`);
    }
  }
}

const CHOICES: readonly RepairChoice[] = [
  { classes: ['all'] },
  { classes: ['leaks'] },
  { classes: ['all', 'leaks', 'unreadable'] },
  { classes: ['all', 'leaks', 'unreadable'], dropUnreadSnapshots: true },
  { classes: ['all'], dropSnapshots: [0] },
];

/** Repairs, keeps an undo file on the way, and undoes the repair again. */
async function repair(
  specimen: Specimen,
  before: CheckReport | undefined,
  random: Random,
  meter: Meter,
): Promise<void> {
  if (before === undefined) return;
  const device = new SpecimenDevice(specimen);
  const chosen = pick(random, CHOICES);
  // A choice may name what an image has not.
  const drops = chosen.dropSnapshots?.filter((index) => index < before.snapshots.read);
  const choice = { ...chosen, ...(drops && { dropSnapshots: drops }) };
  const name = `repair ${JSON.stringify(choice)}`;
  const proposed = await meter.use(name, () => proposeRepair(device, () => choice));
  if (device.isWritten) meter.fault(name, 'a proposal wrote');
  if (proposed?.plan === undefined) return;
  const { plan } = proposed;
  const file = memoryDevice();
  const about = { image: 'specimen', operation: 'repair' };
  const saved = await meter.use(`save undo of ${name}`, () =>
    saveUndo(device, plan, file, newSha256, about),
  );
  if ((await executed(device, plan, name, meter)) === undefined) return;
  const after = await meter.use(`check after ${name}`, () => checkImage(device));
  judgeChecks(name, before, after, plan, meter);
  if (JSON.stringify(after) !== JSON.stringify(proposed.after)) {
    meter.fault(name, 'what came of it is not what was proposed');
  }
  if (saved === undefined) return;
  await hostileUndo(device, file.snapshotBytes(), random, meter);
  await meter.use(`undo of ${name}`, () => executeUndo(device, file, newSha256));
  const isBack = await device.equals(new SpecimenDevice(specimen));
  if (!isBack) meter.fault(name, 'undone, the image is not what it was');
}

/** An undo file is as little to be trusted as an image: refused, it has changed nothing. */
async function hostileUndo(
  repaired: SpecimenDevice,
  file: Uint8Array,
  random: Random,
  meter: Meter,
): Promise<void> {
  let bytes: Uint8Array = file.slice();
  for (let i = 1 + random(3); i > 0; i--) bytes[random(bytes.length)]! ^= 1 << random(8);
  // Whoever changes a file on purpose gives it the digest that it needs.
  if (random(2) === 0) bytes = withDigest(bytes.subarray(0, -UNDO_DIGEST_BYTES));
  const device = repaired.fork();
  const done = await meter.use('undo by a hostile file', () =>
    executeUndo(device, memoryDevice(bytes), newSha256),
  );
  if (done !== undefined) return;
  const isUnchanged = await device.equals(repaired);
  if (!isUnchanged) meter.fault('undo by a hostile file', 'refused, but the image was changed');
}
