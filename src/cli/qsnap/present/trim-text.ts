import type { TrimPlan, TrimReport } from '../../../index.js';
import { printableText } from '../../../internal.js';
import { countText, sizeText } from '../../text.js';

/** What a trim would do. */
export function plannedTrimLines(path: string, plan: TrimPlan): readonly string[] {
  const { freeBytes, tailBytes, shortestBytes, leakedClusters } = plan.facts;
  const { fileSizeBytes, endBytes } = plan;
  const length =
    endBytes < fileSizeBytes
      ? `the file of ${sizeText(fileSizeBytes)} would become ${sizeText(endBytes)} long`
      : `the file would stay ${sizeText(fileSizeBytes)} long`;
  return [
    `${printableText(path)}: ${sizeText(freeBytes)} in free clusters, and ${sizeText(tailBytes)} behind the last one in use.`,
    `  A trim would give back what of it is no hole yet; ${length}.`,
    ...(shortestBytes < endBytes
      ? [`  With --relocate it could come down to about ${sizeText(shortestBytes)}.`]
      : []),
    ...leakLines(leakedClusters),
  ];
}

/** What a trim did. */
export function trimmedLines(
  path: string,
  report: TrimReport,
  relocate: boolean,
): readonly string[] {
  const { movedBytes, steps, freeBytes, leakedClusters } = report;
  const what = movedBytes > 0 ? sizeText(movedBytes) : 'tables alone';
  return [
    `Trimmed ${printableText(path)}: ${lengthText(report)}${takenText(report)}.`,
    ...(steps > 0 ? [`  moved ${what} to the front in ${countText(steps, 'step')}`] : []),
    ...(relocate && freeBytes > 0 && leakedClusters === 0
      ? [
          `  ${sizeText(freeBytes)} stay free inside the file, too little for what would have to change; \`qsnap compact\` writes a shorter one`,
        ]
      : []),
    ...leakLines(leakedClusters),
  ];
}

function lengthText({ fileSizeBefore, fileSizeBytes }: TrimReport): string {
  const now = `the file is ${sizeText(fileSizeBytes)} long`;
  return fileSizeBytes < fileSizeBefore
    ? `${now}, it was ${sizeText(fileSizeBefore)}`
    : `${now} as before`;
}

/** What the file takes on the host. A block device tells nothing of that. */
function takenText({ allocatedBefore, allocatedBytes }: TrimReport): string {
  if (allocatedBefore === undefined || allocatedBytes === undefined) return '';
  if (allocatedBefore === 0 && allocatedBytes === 0) return '';
  return allocatedBytes === allocatedBefore
    ? `, and takes ${sizeText(allocatedBytes)} on the host as before`
    : `, and takes ${sizeText(allocatedBytes)} on the host, it took ${sizeText(allocatedBefore)}`;
}

function leakLines(leakedClusters: number): readonly string[] {
  if (leakedClusters === 0) return [];
  const stay = leakedClusters === 1 ? 'stays' : 'stay';
  return [
    `  ${countText(leakedClusters, 'leaked cluster')} ${stay}, and with it what lies before the last one: \`qsnap repair IMAGE leaks\` frees what is leaked`,
  ];
}
