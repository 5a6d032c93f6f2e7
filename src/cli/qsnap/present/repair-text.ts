import {
  REPAIR_CLASSES,
  type ExecuteReport,
  type ProposedRepair,
  type Remedy,
  type RepairClass,
} from '../../../index.js';
import { printableText } from '../../../internal.js';
import { countText } from '../../text.js';
import { unreferencedText, verdictText } from './check-text.js';
import { dryRunLines, freedText, givenBackLines, netFreedBytes } from './plan-text.js';

/** A repair as a plan: every write, and what a check finds before and after it. */
export function repairPlanLines(path: string, proposal: ProposedRepair): readonly string[] {
  const { plan, image } = proposal;
  if (plan === undefined) return nothingLines(path, proposal);
  return [
    ...dryRunLines(path, plan, image),
    ...givenUpLines('Gives up', proposal),
    ...entryLines('Gives up', proposal),
    ...snapshotLines('Drops', proposal.facts),
    ...droppedLines('Gives up', proposal.facts),
    foundLine('A check finds now', proposal.before),
    foundLine('A check finds then', proposal.after),
    ...leftLines(path, proposal),
  ];
}

/** What was done, and what is left. */
export function repairDoneLines(
  path: string,
  proposal: ProposedRepair,
  report: ExecuteReport | undefined,
  undoFile: string | undefined,
): readonly string[] {
  const { plan, facts, before, after, image } = proposal;
  if (plan === undefined || report === undefined) return nothingLines(path, proposal);
  const isOfRefcounts = facts.raisedClusters + facts.loweredClusters > 0;
  const raised = countText(facts.raisedClusters, 'cluster');
  const lowered = countText(facts.loweredClusters, 'cluster');
  const undo = printableText(undoFile ?? '');
  const file = printableText(path);
  return [
    `Repaired ${file}${isOfRefcounts ? `: refcounts of ${raised} raised, of ${lowered} lowered` : ''}.`,
    ...(isOfRefcounts ? [] : [foundLine('A check found', before)]),
    ...entryLines('Gave up', proposal),
    ...snapshotLines('Dropped', facts),
    ...droppedLines('Gave up', facts),
    ...(netFreedBytes(plan) <= 0 ? [] : [`Freed ${freedText(plan, image)}.`]),
    ...givenUpLines('Gave up', proposal),
    ...givenBackLines(plan, report),
    foundLine('A check finds', after),
    ...leftLines(path, proposal),
    ...(undoFile === undefined ? [] : [`\`qsnap undo ${undo} ${file}\` puts back what was there.`]),
  ];
}

/** What is freed though it may be lost data: refcounts are lowered then by name only. */
function givenUpLines(
  verb: string,
  { before: { ownersHidden, unreferenced }, facts }: ProposedRepair,
): readonly string[] {
  if (!ownersHidden || unreferenced === undefined || facts.loweredClusters === 0) return [];
  if (unreferenced.clusters === 0) return [];
  const clusters = countText(unreferenced.clusters, 'cluster');
  return [`${verb} ${clusters} that nothing refers to: ${unreferencedText(unreferenced)}.`];
}

/** Entries that lead nowhere, and as much guest data as they can have had. */
function entryLines(
  verb: string,
  { givenUp: { l1, l2 }, image: { geometry } }: ProposedRepair,
): readonly string[] {
  if (l1 + l2 === 0) return [];
  const entries = countText(l1 + l2, 'table entry', 'table entries');
  const most = l2 + l1 * (geometry.clusterBytes / geometry.l2EntryBytes);
  const atMost = l1 === 0 ? '' : 'up to ';
  const leads = l1 + l2 === 1 ? 'leads' : 'lead';
  const data = countText(most, 'cluster');
  return [`${verb} ${entries} that ${leads} nowhere: ${atMost}${data} of guest data.`];
}

function snapshotLines(
  verb: string,
  { droppedSnapshots: dropped }: ProposedRepair['facts'],
): readonly string[] {
  if (dropped === undefined) return [];
  const { named, unread } = dropped;
  const names = named.map(({ id, name }) => `${printableText(id)} "${printableText(name)}"`);
  const which = named.length === 1 ? 'snapshot' : 'snapshots';
  return [
    ...(named.length === 0 ? [] : [`${verb} the ${which} ${names.join(', ')}.`]),
    ...(unread === 0 ? [] : [`${verb} ${countText(unread, 'snapshot')} that can not be read.`]),
  ];
}

function droppedLines(
  does: string,
  { droppedBitmaps: dropped }: ProposedRepair['facts'],
): readonly string[] {
  if (dropped === undefined) return [];
  const names = dropped.names.map((name) => `"${printableText(name)}"`).join(', ');
  const what =
    names === ''
      ? 'the bitmaps, which can not be read'
      : `the ${dropped.names.length === 1 ? 'bitmap' : 'bitmaps'} ${names} ` +
        `(${countText(dropped.clusters, 'cluster')})`;
  return [`${does} ${what}: the next backup has to be a full one.`];
}

function nothingLines(path: string, proposal: ProposedRepair): readonly string[] {
  const nothing = `${printableText(path)}: nothing of what was chosen needs a repair.`;
  return [nothing, foundLine('A check finds', proposal.after), ...leftLines(path, proposal)];
}

/** What each class does about what is left, so that nobody gives up data without knowing. */
const DOES: Readonly<Record<RepairClass, string>> = {
  all: 'mends it',
  leaks: 'frees it',
  'perhaps-lost': 'gives it up and frees it, `qsnap rescue` shows what it may be',
  unreadable: 'gives it up, and the guest reads zeros there',
};

/** What is still wrong, by what would mend it. A class that was chosen has done what it can. */
function leftLines(path: string, { after, choice }: ProposedRepair): readonly string[] {
  const { findings, codesLeftOut, unreferenced } = after;
  const left = [...findings, ...codesLeftOut];
  const file = printableText(path);
  const wasDone = (remedy: Remedy): boolean => choice.classes.some((name) => name === remedy);
  const codesOf = (remedy: Remedy): string => {
    const of = left.filter((one) => (wasDone(one.remedy) ? 'manual' : one.remedy) === remedy);
    return [...new Set(of.map(({ code }) => code))].join(', ');
  };
  const byClass = REPAIR_CLASSES.flatMap((name) => {
    const codes = codesOf(name);
    const command = `\`qsnap repair ${file} ${name}\``;
    const isOfLost = name === 'perhaps-lost' && (unreferenced?.clusters ?? 0) > 0;
    const what = isOfLost ? ` (${unreferencedText(unreferenced!)})` : '';
    return codes === '' ? [] : [`Still wrong: ${codes}${what}; ${command} ${DOES[name]}.`];
  });
  const manual = codesOf('manual');
  const decide = `Still wrong: ${manual}; \`qsnap check ${file}\` says what can be done.`;
  return manual === '' ? byClass : [...byClass, decide];
}

function foundLine(when: string, report: ProposedRepair['after']): string {
  return `${when}: ${verdictText(report)}.`;
}
