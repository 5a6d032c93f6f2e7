import type { AuditReport, Level } from '../../index.js';
import { EXIT_CODES, type ExitCode } from '../exit-codes.js';
import { isAudited, type AuditResult } from './present/audited.js';

/**
 * How an audit ends. Corruption is certain, and nothing may hide it; then comes what could not be audited, or not be
 * mended as it was to be.
 */
export function exitCodeOf(results: readonly AuditResult[], failOn: Level): ExitCode {
  const reports: AuditReport[] = [];
  let isWhole = true;
  for (const result of results) {
    if (isAudited(result)) reports.push(result.report);
    else isWhole = false;
    if (result.isLeft === true) isWhole = false;
  }
  if (reports.some(({ isCorrupt }) => isCorrupt)) return EXIT_CODES.corrupt.code;
  if (!isWhole) return EXIT_CODES.notDone.code;
  const breaks = ({ findings }: AuditReport): boolean =>
    findings.some(({ level }) => RANK[level] >= RANK[failOn]);
  return reports.some(breaks) ? EXIT_CODES.violations.code : EXIT_CODES.done.code;
}

const RANK: Readonly<Record<Level, number>> = { note: 1, warning: 2, error: 3 };
