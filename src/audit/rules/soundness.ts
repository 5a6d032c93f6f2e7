import type { Severity } from '../../read/check/finding-parts.js';
import { textsOf } from '../options.js';
import type { AuditFacts, OptionSpec, OptionValues, Rule, Violation } from '../rule.js';

const CODES: OptionSpec = { kind: 'patterns', about: 'Codes of findings that do not count' };

/** Each finding of one severity is a violation. */
function found(
  { check, matches }: AuditFacts,
  options: OptionValues,
  severity: Severity,
): readonly Violation[] {
  const except = textsOf(options, 'except');
  const isLeftOut = (code: string): boolean => except.some((pattern) => matches(code, pattern));
  const violations = (check?.findings ?? [])
    .filter((finding) => finding.severity === severity && !isLeftOut(finding.code))
    .map(({ message, at, code }): Violation => ({ message, at, facts: { code } }));
  const left = violations.length === 0 ? 0 : (check?.findingsLeftOut ?? 0);
  if (left === 0) return violations;
  return [...violations, { message: `${left} more findings of the check are not listed` }];
}

const rule = (
  id: string,
  name: string,
  severity: Severity,
  words: Pick<Rule, 'title' | 'reason'>,
): Rule => ({
  id,
  name,
  ...words,
  needs: ['check'],
  options: { except: CODES },
  judge: (facts, options) => found(facts, options, severity),
});

/** Rules about what a check finds; docs/findings.md has its codes. */
export const SOUNDNESS_RULES: readonly Rule[] = [
  rule('QS1601', 'corruption', 'corruption', {
    title: 'A check finds no corruption',
    reason:
      'Tables or refcounts are wrong: data is lost, or the next write overwrites what is in use.',
  }),
  rule('QS1602', 'leaks', 'leak', {
    title: 'A check finds no leaked clusters',
    reason: 'Leaked clusters take room, and may hold what a crash left behind.',
  }),
  rule('QS1603', 'not-checked', 'check-error', {
    title: 'All of the image could be checked',
    reason: 'What could not be read may hold anything.',
  }),
  rule('QS1604', 'check-notes', 'note', {
    title: 'A check has nothing to note',
    reason:
      'A note is wrong in no way that harms: bits that writers should clear, tables that could be shorter.',
  }),
  {
    id: 'QS1605',
    name: 'unreadable-parts',
    title: 'The header and the tables that it names can be read',
    reason:
      'Part of the header or of the snapshot table is damaged; readers differ in what they make of it.',
    needs: [],
    options: {},
    judge: ({ image }) =>
      image.unread.map(({ structure, reason }) => ({
        message: `the ${structure} can't be read: ${reason.message}`,
        at: reason.details.at,
      })),
  },
  {
    id: 'QS1606',
    name: 'fragmentation',
    title: 'The guest data lies mostly in order',
    reason: 'A scattered image reads slowly from disks and over networks.',
    needs: ['check'],
    options: {
      max: {
        kind: 'count',
        about: 'Percent of clusters that may not follow the one before',
        default: 50,
      },
    },
    judge: ({ check }, options) => {
      const { allocatedClusters, fragmentedClusters } = check!.totals;
      if (allocatedClusters === 0) return [];
      const percent = Math.round((100 * fragmentedClusters) / allocatedClusters);
      const max = typeof options['max'] === 'number' ? options['max'] : 100;
      if (percent <= max) return [];
      const message = `${percent} percent of the clusters do not follow the one before; the most allowed is ${max}`;
      return [{ message, facts: { percent, max } }];
    },
  },
];
