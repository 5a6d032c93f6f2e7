import type { RemainingBytes, ScrubPlan, ScrubReport } from '../../../index.js';
import { printableText } from '../../../internal.js';
import { countText, sizeText } from '../../text.js';

/** What a scrub would do. */
export function plannedScrubLines(
  path: string,
  { facts }: ScrubPlan,
  remaining: RemainingBytes,
): readonly string[] {
  const name = printableText(path);
  const all = `${sizeText(sumOf(facts))} that nothing refers to`;
  const first =
    sumOf(remaining) === 0
      ? `${name}: all ${all} are zeros; there is nothing to scrub.`
      : `${name}: of ${all}, ${sizeText(sumOf(remaining))} are not zeros: ${placesText(remaining)}.`;
  return [first, ...leakLines(facts.leakedClusters)];
}

/** What a scrub did. */
export function scrubbedLines(
  path: string,
  report: ScrubReport,
  verified: boolean,
): readonly string[] {
  const { facts, punchedBytes } = report;
  const name = printableText(path);
  const first =
    sumOf(report) === 0 ? `${name}: nothing to scrub.` : `Scrubbed ${name}: ${placesText(report)}.`;
  const checked = verified ? ', and a check finds nothing new' : '';
  return [
    first,
    ...(punchedBytes > 0 ? [`  ${sizeText(punchedBytes)} went back to the host`] : []),
    `  all ${sizeText(sumOf(facts))} that nothing refers to read back as zeros${checked}`,
    ...leakLines(facts.leakedClusters),
  ];
}

function sumOf({ freeBytes, tailBytes, slackBytes }: RemainingBytes): number {
  return freeBytes + tailBytes + slackBytes;
}

function placesText({ freeBytes, tailBytes, slackBytes }: RemainingBytes): string {
  const places = [
    [freeBytes, 'in free clusters'],
    [tailBytes, 'behind the last cluster in use'],
    [slackBytes, 'beside header and tables'],
  ] as const;
  return places
    .filter(([bytes]) => bytes > 0)
    .map(([bytes, where]) => `${sizeText(bytes)} ${where}`)
    .join(', ');
}

function leakLines(leakedClusters: number): readonly string[] {
  if (leakedClusters === 0) return [];
  const [stay, their] = leakedClusters === 1 ? ['stays', 'it'] : ['stay', 'them'];
  return [
    `  ${countText(leakedClusters, 'leaked cluster')} ${stay} as found: a repair may find what led to ${their}; \`qsnap repair IMAGE leaks\` first, and a scrub then takes ${their} as well`,
  ];
}
