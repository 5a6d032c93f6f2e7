import type { AuditFinding, AuditReport, QsnapError } from '../../../index.js';

/** What an audit of one image gave. */
export interface Audited {
  readonly path: string;
  readonly report: AuditReport;
}

/** An image that could not be read. */
export interface NotAudited {
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
