import { auditImage, isQsnapError, type AuditPolicy } from '../../index.js';
import { nodeDecompressor } from '../../node/index.js';
import { shownLocation } from '../remote/location.js';
import { openSource } from '../remote/open-source.js';
import { isLike } from './patterns.js';
import type { AuditResult } from './present/audited.js';

/** An image to audit: plain values, so that a thread can be told. */
export interface AuditTask {
  /** A path or an address. */
  readonly path: string;
  readonly policy: AuditPolicy;
  readonly forceShare: boolean;
  /** Seconds since the Epoch. */
  readonly now: number;
}

/** Audits the image in a file or on a server. What keeps it from being read is in the result. */
export async function auditFile({
  path: location,
  policy,
  forceShare,
  now,
}: AuditTask): Promise<AuditResult> {
  const path = shownLocation(location);
  try {
    const source = await openSource(location, { forceShare });
    const decompressor = nodeDecompressor();
    try {
      return {
        path,
        report: await auditImage(source, policy, { now, path, matches: isLike, decompressor }),
      };
    } finally {
      await source.close();
    }
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    return { path, error };
  }
}
