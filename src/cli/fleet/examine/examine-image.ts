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
import { openSource } from '../../remote/open-source.js';
import { backingLocationOf } from './backing-location.js';
import { failedRecord, NOTHING } from './failed-record.js';
import { hashDisks } from './hash-disks.js';
import { measureDisks, type Measured } from './measure-disks.js';
import { throttled } from './throttled.js';
import type { Failure, FindingRecord, ImageFacts, ImageRecord } from './record.js';
import { digestOfTables, NO_TABLES, stampWith, versionOf, type FileVersion } from './stamp.js';

/** How an image is looked at; plain values, so that a thread can be told. */
export interface ExamineOptions {
  readonly policy: AuditPolicy;
  /** Seconds since the Epoch, for rules about ages. */
  readonly now: number;
  /** Read although another program writes. */
  readonly forceShare: boolean;
  /** Also read all guest data and tell its digests. */
  readonly hash: boolean;
  /** How fast it may be read; undefined: no limit. */
  readonly bytesPerSecond?: number | undefined;
}

/** Readings of an image that changes meanwhile; after them it is told that it does. */
const TRIES_MAX = 3;

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
      const { code, message } = failureOf(error);
      if (code !== 'IMAGE_CHANGED') return failedRecord(code, message, isMissing(error));
    }
    if (tries === TRIES_MAX) {
      return failedRecord('IMAGE_CHANGED', `it changed during each of ${TRIES_MAX} readings`);
    }
  }
}

async function examineOnce(
  location: string,
  version: FileVersion,
  options: ExamineOptions,
): Promise<ImageRecord> {
  const source = await open(location, options);
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
    const disks = options.hash
      ? await hashDisks(await open(location, options), measured.disks)
      : measured.disks;
    const stamp = stampWith(version, location, facts.tablesSha256);
    return { ...judged, stamp, facts, ...measured, disks };
  } finally {
    await source.close();
  }
}

async function open(
  location: string,
  { forceShare, bytesPerSecond }: ExamineOptions,
): Promise<BlockSource> {
  return throttled(await openSource(location, { forceShare }), bytesPerSecond);
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

function failureOf(error: unknown): Failure {
  if (isQsnapError(error)) return { code: error.code, message: printableText(error.message) };
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') {
    return { code: 'OPEN_FAILED', message: printableText(error.message) };
  }
  throw error;
}

/** A file that nobody finds; a server may tell the same of what one must not see. */
function isMissing(error: unknown): boolean {
  const reason = isQsnapError(error) ? error.cause : error;
  return (
    reason instanceof Error &&
    'code' in reason &&
    (reason.code === 'ENOENT' || reason.code === 'ENOTDIR')
  );
}
