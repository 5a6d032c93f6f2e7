/** Whether a check and the edits agree about an image: what is damaged to one is to all. */
import {
  checkImage,
  isQsnapError,
  openImage,
  planApply,
  planCreate,
  planDelete,
  planDeleteInPlace,
  planRename,
  type BlockSource,
  type CheckReport,
  type EditFacts,
  type EditPlan,
  type OpenImage,
  type Snapshot,
} from '../../src/index.js';

const NEW = { name: 'agree', date: { seconds: 1_700_000_000, nanoseconds: 0 } };

/** Why a sound image is not edited. */
const NO_DAMAGE = new Set([
  'EXTERNAL_DATA_FILE',
  'IMAGE_DIRTY',
  'IMAGE_MARKED_CORRUPT',
  'REFCOUNT_OVERFLOW',
  'LIMIT_EXCEEDED',
  'TOO_MANY_SNAPSHOTS',
  'NO_SPACE',
]);
/** Why a snapshot of a sound image is not applied: the last one where a check notes its size. */
const NOT_APPLIED = new Set(['BITMAPS_PRESENT', 'SIZE_DIFFERS_IN_V2', 'SNAPSHOT_TABLE_INVALID']);

/**
 * What a check calls corruption, as QEMU does, and an edit sets right on its way, and says so. Nothing is lost
 * where nothing else is wrong: `qemu-img snapshot -c` goes on, too, and leaves an image in which a check finds
 * nothing.
 *
 * - COPIED flags: references and refcounts agree, so what is in use is known, and an edit writes to nothing
 *   else. What is wrong is who may write in place, and that is set anew for the whole active disk. Refused, the
 *   image would stay in the state in which the next guest write changes a snapshot. A rename writes the snapshot
 *   table alone, and leaves them. docs/decisions/0002-stale-copied-flags.md.
 * - Extra data that an entry of a snapshot lacks: the specification says what its absence means, and the new
 *   table says that in full. A deletion in place may need no new table.
 */
const COPIED_FLAGS: ReadonlySet<string> = new Set([
  'L1_COPIED_SET',
  'L1_COPIED_MISSING',
  'L2_COPIED_SET',
  'L2_COPIED_MISSING',
]);
const SHORT_ENTRY = 'SNAPSHOT_EXTRA_MISSING';

/** How many edits went which way. */
export type Tally = Record<'planned' | 'refused' | 'noDamage' | 'mended', number>;

export const newTally = (): Tally => ({ planned: 0, refused: 0, noDamage: 0, mended: 0 });

type Outcome<T> =
  | { readonly value: T }
  | { readonly code: string; readonly message: string; readonly hintCode: string | undefined };

async function outcomeOf<T>(work: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { value: await work() };
  } catch (error) {
    if (!isQsnapError(error) || error.kind === 'internal') throw error;
    return { code: error.code, message: error.message, hintCode: error.details.hintCode };
  }
}

type Plan = Pick<EditPlan, 'facts'>;
type Edit = (image: OpenImage) => Promise<Plan>;

/** Edits of every kind; those of snapshots by the first and the last one. */
async function editsOf(source: BlockSource): Promise<ReadonlyMap<string, Edit>> {
  const edits = new Map<string, Edit>([['create', (image) => planCreate(image, NEW)]]);
  const opened = await outcomeOf(() => openImage(source));
  const count = 'value' in opened ? opened.value.snapshots.length : 0;
  for (const index of new Set(count === 0 ? [] : [0, count - 1])) {
    const of = (edit: (image: OpenImage, snapshot: Snapshot) => Promise<Plan>): Edit => {
      return (image) => edit(image, image.snapshots[index]!);
    };
    edits.set(
      `apply #${index}`,
      of((image, snapshot) => planApply(image, snapshot, { discardChanges: true })),
    );
    edits.set(
      `delete #${index}`,
      of((image, snapshot) => planDelete(image, [snapshot])),
    );
    edits.set(
      `delete #${index} in place`,
      of((image, snapshot) => planDeleteInPlace(image, [snapshot])),
    );
    edits.set(
      `rename #${index}`,
      of((image, snapshot) => planRename(image, snapshot, 'agree')),
    );
  }
  return edits;
}

/** What a check and an edit disagree about, edit by edit; nothing where they agree. */
export async function disagreements(
  source: () => BlockSource,
  seen: Tally,
): Promise<readonly string[]> {
  const report = await outcomeOf(() => checkImage(source(), { owners: false }));
  const found: string[] = [];
  for (const [name, edit] of await editsOf(source())) {
    const plan = await outcomeOf(async () => edit(await openImage(source())));
    const fault = disagreement(report, name, plan, seen);
    if (fault !== undefined) found.push(`${name}: ${fault}`);
  }
  return found;
}

function disagreement(
  report: Outcome<CheckReport>,
  edit: string,
  plan: Outcome<Plan>,
  seen: Tally,
): string | undefined {
  const isSound = 'value' in report && [0, 3].includes(report.value.exitCode);
  if ('value' in plan) {
    if (!isSound && !('value' in report && isMended(report.value))) {
      return `planned, though ${told(report)}`;
    }
    const { mends = [] } = plan.value.facts;
    const expected = 'value' in report ? mendsExpected(edit, report.value, mends) : [];
    if (expected.join() !== mends.join()) {
      return `says that it mends [${mends.join()}], not [${expected.join()}], though ${told(report)}`;
    }
    seen[isSound ? 'planned' : 'mended'] += 1;
    return undefined;
  }
  if (!isSound && !('value' in report && isMended(report.value))) {
    seen.refused += 1;
    return undefined;
  }
  // What would be lost from sight is no damage yet, but for an edit that empties a table beside it.
  const isDoubt = plan.hintCode === 'free-leaks-first' && isSound && report.value.exitCode === 3;
  const isNoDamage =
    isDoubt || NO_DAMAGE.has(plan.code) || (edit.startsWith('apply') && NOT_APPLIED.has(plan.code));
  if (!isNoDamage) return `${plan.code}: ${plan.message}, though ${told(report)}`;
  seen.noDamage += 1;
  return undefined;
}

/** What an edit of an image with these findings has to say that it sets right. */
function mendsExpected(
  edit: string,
  { findings }: CheckReport,
  said: NonNullable<EditFacts['mends']>,
): readonly string[] {
  const hasFlags = findings.some(({ code }) => COPIED_FLAGS.has(code));
  const hasEntries = findings.some(({ code }) => code === SHORT_ENTRY);
  const staysInPlace = edit.endsWith('in place') && !said.includes('snapshot-entries');
  return [
    ...(hasFlags && !edit.startsWith('rename') ? ['copied-flags'] : []),
    ...(hasEntries && !staysInPlace ? ['snapshot-entries'] : []),
  ];
}

/** Whether all that is wrong is of the kinds that edits mend. */
function isMended({ findings, findingsLeftOut }: CheckReport): boolean {
  const bad = findings.filter(({ severity, remedy }) => {
    return severity === 'corruption' || severity === 'check-error' || remedy === 'perhaps-lost';
  });
  return (
    bad.length > 0 &&
    findingsLeftOut === 0 &&
    bad.every(({ code }) => COPIED_FLAGS.has(code) || code === SHORT_ENTRY)
  );
}

function told(report: Outcome<CheckReport>): string {
  if (!('value' in report)) return `a check fails with ${report.code}: ${report.message}`;
  const { exitCode, findings, qemuFailure } = report.value;
  const codes = [...new Set(findings.map(({ code }) => code))];
  const qemu = qemuFailure === undefined ? '' : `, QEMU with ${JSON.stringify(qemuFailure)}`;
  return `a check ends with ${exitCode} (${codes.join(', ')})${qemu}`;
}
