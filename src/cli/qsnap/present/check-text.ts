import {
  type CheckReport,
  type CheckTotals,
  type Finding,
  type Unreferenced,
} from '../../../index.js';
import { printableText } from '../../../internal.js';
import { tableLines, type Column } from '../../columns.js';
import { countText, hexText, oneSafeLine } from '../../text.js';
import { adviceOf } from '../advice.js';

/** More findings than this are counted instead of listed, unless the user says how many to list. */
const FINDINGS_SHOWN_MAX = 40;

/** So many findings of an image `--json` has: with owners, they take some hundred MiB at most. */
export const JSON_FINDINGS_MAX = 100_000;

const COLUMNS: readonly Column[] = [
  { title: 'SEVERITY', align: 'left' },
  { title: 'FINDING', align: 'left' },
  { title: 'WHAT IS WRONG', align: 'left' },
];

/** A finding as `qsnap repair` takes it. */
export function findingName({ code, at }: Finding): string {
  return `${code}@${hexText(at)}`;
}

/** `2 corruptions, 1 leak`, or that there is nothing. */
export function verdictText({ totals, beyondQemu, ownersHidden }: CheckReport): string {
  const parts = [
    [totals.corruptions + beyondQemu.corruptions, 'corruption'] as const,
    [totals.checkErrors, 'check error'] as const,
    [ownersHidden ? 0 : totals.leaks, 'leak'] as const,
    [beyondQemu.notes, 'note'] as const,
  ].flatMap(([count, what]) => (count === 0 ? [] : [countText(count, what)]));
  if (ownersHidden && totals.leaks > 0) {
    parts.push(`${countText(totals.leaks, 'cluster')} of perhaps lost data`);
  }
  return parts.length === 0 ? 'no errors' : parts.join(', ');
}

/**
 * What a check found, for people.
 *
 * @param findingsMax how many findings to list.
 */
export function reportLines(
  path: string,
  report: CheckReport,
  findingsMax = FINDINGS_SHOWN_MAX,
): readonly string[] {
  const file = printableText(path);
  const { findings, findingsLeftOut, codesLeftOut, totals, snapshots } = report;
  const shown = findings.slice(0, findingsMax);
  const rows = shown.map((finding) => [
    finding.severity,
    findingName(finding),
    oneSafeLine(finding.message),
  ]);
  const [titles, ...lines] = tableLines(COLUMNS, rows);
  const more = findings.length - shown.length + findingsLeftOut;
  const isMendable = [...findings, ...codesLeftOut].some(
    ({ remedy }) => remedy === 'all' || remedy === 'leaks',
  );
  const unread = snapshots.claimed - snapshots.read;
  return [
    `${file}: ${verdictText(report)}`,
    ...totalsLines(totals),
    ...unreferencedLines(report),
    ...(unread > 0 ? [`  ${countText(unread, 'snapshot')} can not be read`] : []),
    ...(rows.length === 0 ? [] : [titles!, ...lines]),
    ...hintLines(shown),
    ...(more === 0 ? [] : [moreLine(more, findings.length + findingsLeftOut)]),
    ...adviceLines(findings),
    ...(isMendable ? [`\`qsnap repair --plan ${file}\` shows what a repair would do`] : []),
  ];
}

/** What a repair that gives up lost data would free. */
function unreferencedLines({ ownersHidden, unreferenced }: CheckReport): readonly string[] {
  if (!ownersHidden || unreferenced === undefined || unreferenced.clusters === 0) return [];
  const clusters = countText(unreferenced.clusters, 'cluster');
  return [`  nothing refers to ${clusters}: ${unreferencedText(unreferenced)}`];
}

/** `1 looks like a table, 2 hold data`: what lies in clusters that nothing refers to. */
export function unreferencedText(seen: Unreferenced): string {
  const { tables, data, zeros, notLookedAt } = seen;
  return [
    tables === 0 ? [] : [tables === 1 ? '1 looks like a table' : `${tables} look like tables`],
    data === 0 ? [] : [data === 1 ? '1 holds data' : `${data} hold data`],
    zeros === 0 ? [] : [zeros === 1 ? '1 holds zeros' : `${zeros} hold zeros`],
    notLookedAt === 0 ? [] : [`${notLookedAt} not looked at`],
  ]
    .flat()
    .join(', ');
}

/** Where pointers that can't be right may have led. */
function hintLines(findings: readonly Finding[]): readonly string[] {
  return findings.flatMap((finding) =>
    finding.hint === undefined ? [] : [`${findingName(finding)}: ${finding.hint}`],
  );
}

/** What can be done about what a repair of class all does not mend, once for each advice. */
function adviceLines(findings: readonly Finding[]): readonly string[] {
  const codes = new Map<string, Set<string>>();
  for (const finding of findings) {
    const { code, remedy } = finding;
    if (remedy === 'all' || remedy === 'leaks' || remedy === 'none') continue;
    const advice = adviceOf(finding);
    codes.set(advice, (codes.get(advice) ?? new Set()).add(code));
  }
  return [...codes].map(([advice, those]) => `${[...those].join(', ')}: ${advice}`);
}

function totalsLines(totals: CheckTotals): readonly string[] {
  const { allocatedClusters, totalClusters, compressedClusters, fragmentedClusters } = totals;
  return [
    `  ${countText(allocatedClusters, 'guest cluster')} of ${totalClusters} allocated, ` +
      `${compressedClusters} compressed, ${fragmentedClusters} fragmented`,
    `  image end offset ${totals.imageEndOffset}`,
  ];
}

function moreLine(more: number, all: number): string {
  const has = all <= JSON_FINDINGS_MAX ? 'them' : `the first ${JSON_FINDINGS_MAX}`;
  return `and ${more} more: \`--json\` has ${has}`;
}
