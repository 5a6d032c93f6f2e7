import { createHash } from 'node:crypto';
import { AUDIT_RULES, type AuditFinding } from '../../../index.js';
import { oneSafeLine } from '../../text.js';
import { isAudited, type Audited, type AuditResult, type NotAudited } from './audited.js';
import { fileUri } from './file-uri.js';
import { sarifRules } from './sarif-rules.js';

type Json = Record<string, unknown>;

/** Of the edition with errata, which readers of the first one take as well. */
const SCHEMA =
  'https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json';

/** Many readers have 32 bits for offsets, and refuse the whole file where one does not fit. */
const NUMBERS_END = 2 ** 31;

/** A finding, and what became of it. */
interface Outcome {
  readonly finding: AuditFinding;
  /** Why the policy allows it; undefined: it counts. */
  readonly reason: string | undefined;
}

/**
 * Audits as a log of SARIF 2.1.0 with one run. What a policy allows is suppressed; an image that could not be read is a
 * notification, and the run then has failed. The same audits give the same log: it has no times.
 *
 * @param version of qsnap.
 */
export function auditSarif(results: readonly AuditResult[], version: string): Json {
  const notifications = results.flatMap((one) => (isAudited(one) ? [] : [notificationOf(one)]));
  const invocation = {
    executionSuccessful: notifications.length === 0,
    toolExecutionNotifications: notifications,
  };
  return {
    $schema: SCHEMA,
    version: '2.1.0',
    runs: [
      {
        tool: { driver: { name: 'qsnap', version, rules: sarifRules() } },
        invocations: [invocation],
        results: results.filter(isAudited).flatMap(resultsOf),
      },
    ],
  };
}

function resultsOf({ path, report }: Audited): readonly Json[] {
  const uri = fileUri(path);
  const outcomes: readonly Outcome[] = [
    ...report.findings.map((finding) => ({ finding, reason: undefined })),
    ...report.excepted.map((finding) => ({ finding, reason: finding.exception.reason })),
  ];
  const seen = new Map<string, number>();
  return outcomes.map(({ finding, reason }) => {
    const { rule, level, message } = finding;
    const { region, properties } = placeOf(finding);
    const key = fingerprintKey(uri, finding);
    const before = seen.get(key) ?? 0;
    seen.set(key, before + 1);
    return {
      ruleId: rule.id,
      ruleIndex: AUDIT_RULES.findIndex(({ id }) => id === rule.id),
      level,
      message: { text: messageText(message) },
      locations: [{ physicalLocation: { artifactLocation: { uri }, ...(region && { region }) } }],
      partialFingerprints: { 'qsnapFinding/v1': sha256(`${key}${before}`) },
      // Either all results of a run have this or none, empty or not.
      suppressions: reason === undefined ? [] : [suppressionOf(reason)],
      ...(properties && { properties }),
    };
  });
}

function suppressionOf(reason: string): Json {
  return { kind: 'external', status: 'accepted', justification: oneSafeLine(reason) };
}

/** Where the bytes are: as a region, and what is too large for one as properties of the result. */
function placeOf({ at, length }: AuditFinding): { region?: Json; properties?: Json } {
  if (at === undefined) return {};
  const byteLength = length === undefined ? {} : { byteLength: length };
  if (at >= NUMBERS_END) return { properties: { byteOffset: at, ...byteLength } };
  if (length === undefined || length < NUMBERS_END) {
    return { region: { byteOffset: at, ...byteLength } };
  }
  return { region: { byteOffset: at }, properties: byteLength };
}

/**
 * What stays of a finding when its bytes move: rule, path and facts. Findings that have all of these in common are told
 * apart by their order.
 */
function fingerprintKey(uri: string, { rule, facts = {} }: AuditFinding): string {
  const sorted = Object.entries(facts).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([rule.id, uri, sorted]);
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function notificationOf({ path, error }: NotAudited): Json {
  return {
    descriptor: { id: error.code },
    level: 'error',
    message: { text: messageText(error.message) },
    locations: [{ physicalLocation: { artifactLocation: { uri: fileUri(path) } } }],
  };
}

/**
 * A message that readers show as it is. SARIF 2.1.0, 3.11.5: braces are doubled, else `{0}` is the place of an argument.
 * 3.11.6: `[text](address)` is a link, unless its bracket is escaped; one behind a backslash may be already.
 */
function messageText(message: string): string {
  return oneSafeLine(message)
    .replace(/[{}]/g, '$&$&')
    .replace(/(\\*)\]\(/g, (link: string, before: string) =>
      before.length % 2 === 0 ? `${before}\\](` : link,
    );
}
