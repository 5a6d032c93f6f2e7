import { jsonText } from '../../text.js';
import { auditGithub } from './audit-github.js';
import { auditJunit } from './audit-junit.js';
import { auditMarkdown } from './audit-markdown.js';
import { auditSarif } from './audit-sarif.js';
import type { AuditResult } from './audited.js';

/** Formats of other programs. */
export type DocumentFormat = 'sarif' | 'junit' | 'markdown' | 'github';

/**
 * Audits as a document that another program reads.
 *
 * @param version of qsnap.
 */
export function auditDocument(
  results: readonly AuditResult[],
  format: DocumentFormat,
  version: string,
): string {
  switch (format) {
    case 'sarif':
      return jsonText(auditSarif(results, version));
    case 'junit':
      return auditJunit(results);
    case 'markdown':
      return auditMarkdown(results);
    case 'github':
      return auditGithub(results);
  }
}
