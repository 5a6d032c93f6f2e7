import {
  auditImage,
  isQsnapError,
  type AuditPolicy,
  type AuditReport,
  type BlockSource,
} from '../../index.js';
import { nodeDecompressor } from '../../node/index.js';
import { shownLocation } from '../remote/location.js';
import { openSource } from '../remote/open-source.js';
import { hostGate, type HostGateOptions } from './host-gate.js';
import { isLike } from './patterns.js';
import type { AuditResult } from './present/audited.js';
import { secretFinder } from './secret-finder.js';

/** An image to audit: plain values, so that a thread can be told. */
export interface AuditTask {
  /** A path or an address. */
  readonly path: string;
  /** The file to read in place of the one that the path names. */
  readonly file?: string;
  readonly policy: AuditPolicy;
  readonly forceShare: boolean;
  /** Seconds since the Epoch. */
  readonly now: number;
  /** Follow the chain of backing files. */
  readonly backing: boolean;
}

/** Audits the image in a file or on a server. What keeps it from being read is in the result. */
export async function auditFile(
  task: AuditTask,
  signal?: AbortSignal,
  io?: HostGateOptions['io'],
): Promise<AuditResult> {
  const path = shownLocation(task.path);
  try {
    const source = await openSource(task.file ?? task.path, { forceShare: task.forceShare });
    try {
      return { path, report: await judgeSource(source, task, signal, io) };
    } finally {
      await source.close();
    }
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    return { path, error };
  }
}

/** Judges an image that is open. @throws QsnapError. */
export function judgeSource(
  source: BlockSource,
  { path, policy, forceShare, now, backing }: AuditTask,
  signal?: AbortSignal,
  io?: HostGateOptions['io'],
): Promise<AuditReport> {
  return auditImage(source, policy, {
    now,
    path: shownLocation(path),
    matches: isLike,
    decompressor: nodeDecompressor(),
    findSecrets: secretFinder(policy),
    gate: backing ? hostGate({ forceShare, io }) : undefined,
    signal,
  });
}
