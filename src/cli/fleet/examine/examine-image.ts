import {
  auditImage,
  backingFormat,
  backingName,
  dataFileName,
  isQsnapError,
  openForReading,
  type AuditPolicy,
  type AuditReport,
  type BlockSource,
  type ReadableImage,
} from '../../../index.js';
import { printableText } from '../../../internal.js';
import { nodeDecompressor } from '../../../node/index.js';
import { isLike } from '../../qsnap/patterns.js';
import { secretFinder } from '../../qsnap/secret-finder.js';
import { backingLocationOf } from './backing-location.js';
import { changedRecord, failedBy, failureOf, NOTHING, TRIES_MAX } from './failed-record.js';
import { hashDisks } from './hash-disks.js';
import { HASH_LIMITS, type HashLimits, type ReadyDigests } from './pieces.js';
import { measureDisks, type Measured } from './measure-disks.js';
import { openThrottled, type Opening } from './throttled.js';
import type { Failure, FindingRecord, ImageFacts, ImageRecord } from './record.js';
import {
  digestOfTables,
  NO_TABLES,
  stampWith,
  versionOf,
  versionOnAnyHost,
  type FileVersion,
} from './stamp.js';

/** How an image is looked at; plain values, so that a thread can be told. */
export interface ExamineOptions extends Opening {
  readonly policy: AuditPolicy;
  /** Seconds since the Epoch, for rules about ages. */
  readonly now: number;
  /** Also read all guest data and tell its digests. */
  readonly hash: boolean;
  /** Other ones than usual. */
  readonly hashLimits?: HashLimits | undefined;
  /** What was read of large disks before. */
  readonly ready?: ReadyDigests | undefined;
}

/** Findings of an image that are kept; of a damaged one there may be millions. */
const FINDINGS_MAX = 1000;

/**
 * Reads an image for the catalogue. It never throws for what is wrong with the image: that is in the record. An image
 * that changes meanwhile is read again.
 */
export async function examineImage(
  location: string,
  options: ExamineOptions,
): Promise<ImageRecord> {
  for (let tries = 1; ; tries++) {
    try {
      const before = await versionOf(location);
      const record = await examineOnce(location, before, options);
      const after = await versionOf(location);
      if (after.text === before.text) return record;
    } catch (error) {
      if (failureOf(error).code !== 'IMAGE_CHANGED') return failedBy(error);
    }
    if (tries === TRIES_MAX) return changedRecord();
  }
}

async function examineOnce(
  location: string,
  version: FileVersion,
  options: ExamineOptions,
): Promise<ImageRecord> {
  const source = await openThrottled(location, options);
  try {
    const report = await auditImage(source, options.policy, {
      now: options.now,
      path: location,
      matches: isLike,
      decompressor: nodeDecompressor(),
      findSecrets: secretFinder(options.policy),
    });
    const judged = { ...NOTHING, modifiedAt: version.modifiedAt, ...findingsOf(report) };
    if (report.unopened !== undefined) {
      const stamp = stampWith(version, location, NO_TABLES);
      return { ...judged, stamp, failure: failureOf(report.unopened) };
    }
    const image = await openForReading(source);
    const facts = await factsOf(location, image, report, source);
    const measured = await measureOrSay(image);
    const stamp = stampWith(version, location, facts.tablesSha256);
    const record = { ...judged, stamp, facts, ...measured };
    if (!options.hash) return record;
    const hashed = await hashDisks(await openThrottled(location, options), measured.disks, {
      limits: options.hashLimits ?? HASH_LIMITS,
      version: versionOnAnyHost(version, location, facts.tablesSha256),
      ready: options.ready,
    });
    return { ...record, ...hashed };
  } finally {
    await source.close();
  }
}

async function factsOf(
  location: string,
  image: ReadableImage,
  report: AuditReport,
  source: BlockSource,
): Promise<ImageFacts> {
  const { header, geometry, unread } = image;
  const isListed = unread.every(({ structure }) => structure !== 'snapshot table');
  return {
    fileBytes: image.fileSizeBytes,
    allocatedBytes: await source.allocatedBytes?.(),
    formatVersion: header.version,
    clusterBytes: geometry.clusterBytes,
    refcountBits: geometry.refcountBits,
    virtualBytes: header.diskSizeBytes,
    compression: header.compressionType,
    encryption: header.encryption === 'none' ? undefined : header.encryption,
    isDirty: header.dirty,
    isCorrupt: header.markedCorrupt || report.isCorrupt,
    snapshotCount: isListed ? image.snapshots.length : undefined,
    snapshotTableBytes: image.snapshotTableBytes,
    backingName: printed(backingName(image)),
    backingFormat: printed(backingFormat(image)),
    backingLocation: backingLocationOf(location, backingName(image)),
    dataFileName: printed(dataFileName(image)),
    tablesSha256: await digestOfTables(image),
  };
}

const printed = (text: string | undefined): string | undefined =>
  text === undefined ? undefined : printableText(text);

/** What of an image that is damaged in part can't be measured is said; the rest counts. */
async function measureOrSay(
  image: ReadableImage,
): Promise<Measured & { readonly unmeasured: Failure | undefined }> {
  try {
    return { ...(await measureDisks(image)), unmeasured: undefined };
  } catch (error) {
    if (!isQsnapError(error) || error.kind !== 'image') throw error;
    return { ...(await measureDisks(image, false)), unmeasured: failureOf(error) };
  }
}

function findingsOf({ findings }: AuditReport): Pick<ImageRecord, 'findings' | 'findingsLeftOut'> {
  return {
    findings: findings
      .slice(0, FINDINGS_MAX)
      .map(({ rule, level, at, length, message }): FindingRecord => ({
        rule: rule.id,
        ruleName: rule.name,
        level,
        at,
        length,
        message: printableText(message),
      })),
    findingsLeftOut: Math.max(0, findings.length - FINDINGS_MAX),
  };
}
