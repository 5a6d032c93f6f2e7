import type { AuditReport, QsnapError } from '../../../index.js';

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

export type AuditResult = Audited | NotAudited;
