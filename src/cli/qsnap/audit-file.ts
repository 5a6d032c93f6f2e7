import { auditImage, isQsnapError, type AuditPolicy } from '../../index.js';
import { nodeDecompressor } from '../../node/index.js';
import { shownLocation } from '../remote/location.js';
import { openSource } from '../remote/open-source.js';
import { hostGate } from './host-gate.js';
import { isLike } from './patterns.js';
import type { AuditResult } from './present/audited.js';
import { secretFinder } from './secret-finder.js';

/** An image to audit: plain values, so that a thread can be told. */
export interface AuditTask {
  /** A path or an address. */
  readonly path: string;
  readonly policy: AuditPolicy;
  readonly forceShare: boolean;
  /** Seconds since the Epoch. */
  readonly now: number;
  /** Follow the chain of backing files. */
  readonly backing: boolean;
}

/** Audits the image in a file or on a server. What keeps it from being read is in the result. */
export async function auditFile(task: AuditTask): Promise<AuditResult> {
  const { policy, forceShare, now } = task;
  const path = shownLocation(task.path);
  try {
    const source = await openSource(task.path, { forceShare });
    try {
      const report = await auditImage(source, policy, {
        now,
        path,
        matches: isLike,
        decompressor: nodeDecompressor(),
        findSecrets: secretFinder(policy),
        gate: task.backing ? hostGate({ forceShare }) : undefined,
      });
      return { path, report };
    } finally {
      await source.close();
    }
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    return { path, error };
  }
}
