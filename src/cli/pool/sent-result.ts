import {
  findRule,
  QsnapError,
  type AuditFinding,
  type AuditReport,
  type ErrorCode,
  type ErrorDetails,
} from '../../index.js';
import { isAudited, type AuditResult } from '../qsnap/present/audited.js';

/** An error as a message carries it. */
export interface SentError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: ErrorDetails;
}

type SentFinding<Finding extends AuditFinding> = Omit<Finding, 'rule'> & { readonly rule: string };
type Excepted = AuditReport['excepted'][number];

/** The result of an audit as a message carries it: rules by their ids, since they are functions. */
export type SentResult =
  | { readonly path: string; readonly error: SentError }
  | {
      readonly path: string;
      readonly findings: readonly SentFinding<AuditFinding>[];
      readonly excepted: readonly SentFinding<Excepted>[];
      readonly unopened: SentError | undefined;
      readonly isCorrupt: boolean;
    };

export function sentResult(result: AuditResult): SentResult {
  const { path } = result;
  if (!isAudited(result)) return { path, error: sentError(result.error) };
  const { findings, excepted, unopened, isCorrupt } = result.report;
  return {
    path,
    findings: findings.map((one) => ({ ...one, rule: one.rule.id })),
    excepted: excepted.map((one) => ({ ...one, rule: one.rule.id })),
    unopened: unopened && sentError(unopened),
    isCorrupt,
  };
}

export function receivedResult(sent: SentResult): AuditResult {
  const { path } = sent;
  if ('error' in sent) return { path, error: receivedError(sent.error) };
  const { findings, excepted, unopened, isCorrupt } = sent;
  return {
    path,
    report: {
      findings: findings.map((one) => ({ ...one, rule: findRule(one.rule)! })),
      excepted: excepted.map((one) => ({ ...one, rule: findRule(one.rule)! })),
      unopened: unopened && receivedError(unopened),
      isCorrupt,
    },
  };
}

const sentError = ({ code, message, details }: QsnapError): SentError => ({
  code,
  message,
  details,
});

const receivedError = ({ code, message, details }: SentError): QsnapError =>
  new QsnapError(code, message, details);
