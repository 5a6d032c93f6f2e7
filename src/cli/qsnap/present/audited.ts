import type { AuditFinding, AuditReport, QsnapError } from '../../../index.js';

/** What became of an image besides being judged. */
interface Mending {
  /** What was done to mend it, or would be. */
  readonly mending?: Readonly<Record<string, unknown>>;
  /** Whether something was to be mended and is not. */
  readonly isLeft?: boolean;
}

/** What an audit of one image gave. */
export interface Audited extends Mending {
  readonly path: string;
  readonly report: AuditReport;
}

/** An image that could not be read. */
export interface NotAudited extends Mending {
  readonly path: string;
  readonly error: QsnapError;
}

/** What became of one image. */
export type AuditResult = Audited | NotAudited;

export function isAudited(result: AuditResult): result is Audited {
  return 'report' in result;
}

/** All findings that count, of all images. */
export function findingsOf(results: readonly AuditResult[]): readonly AuditFinding[] {
  return results.filter(isAudited).flatMap(({ report }) => report.findings);
}

/** The name of a rule for people: `QS1101 snapshots`. */
export function ruleLabel({ id, name }: AuditFinding['rule']): string {
  return `${id} ${name}`;
}
