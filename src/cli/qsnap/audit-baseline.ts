import { readFileSync } from 'node:fs';
import { QsnapError } from '../../index.js';
import { ForeignJson } from '../../internal.js';
import { fingerprint } from './present/audit-json.js';
import { isAudited, type AuditResult } from './present/audited.js';

/**
 * Findings that were there before. One of the same kind in another place is new: a gate must not take a second secret, or
 * another leak, for the first.
 */
export type Baseline = ReadonlySet<string>;

const IMAGES_MAX = 10_000_000;
const FINDINGS_MAX = 1_000_000;

/**
 * Reads what `qsnap audit --json` printed before.
 *
 * @throws QsnapError OPEN_FAILED for a file that can't be read or is no such document.
 */
export function readBaseline(file: string): Baseline {
  const json = new ForeignJson((at, actual, expected) => {
    const message = `the baseline is no output of \`qsnap audit --json\`: ${at} is ${actual}`;
    return new QsnapError('OPEN_FAILED', message, { file, expected });
  });
  const { images } = json.recordOf(parsedFile(file), 'the document');
  const known = json.listOf(images, 'images', IMAGES_MAX, (image, at) => {
    const { filename, findings = [] } = json.recordOf(image, at);
    return json.listOf(findings, `${at}.findings`, FINDINGS_MAX, (finding, where) => {
      const { rule, facts, offset } = json.recordOf(finding, where);
      return inPlace(fingerprint(String(filename), String(rule), facts), offset);
    });
  });
  return new Set(known.flat());
}

const inPlace = (kind: string, offset: unknown): string => JSON.stringify([kind, offset ?? null]);

function parsedFile(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    const message = `the baseline can't be read: ${(cause as Error).message}`;
    throw new QsnapError('OPEN_FAILED', message, { file }, cause);
  }
}

/** The result without the findings that were there before. */
export function withoutKnown<Result extends AuditResult>(
  result: Result,
  baseline: Baseline | undefined,
): Result {
  if (baseline === undefined || !isAudited(result)) return result;
  const { path, report } = result;
  const findings = report.findings.filter(({ rule, facts, at }) => {
    return !baseline.has(inPlace(fingerprint(path, rule.id, facts), at));
  });
  return { ...result, report: { ...report, findings } };
}
