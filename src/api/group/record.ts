import { ForeignJson } from '../../base/foreign-json.js';
import { digestOf, type NewHasher } from '../../base/hasher.js';
import { nestsDeeperThan } from '../../base/json-depth.js';
import { hexOfBytes, utf8Bytes } from '../../base/text.js';
import { QsnapError, type ErrorDetails } from '../../errors.js';
import { LIMITS } from '../../qcow2/limits.js';
import type { SnapshotDate } from '../../qcow2/snapshot-table.js';
import { disagreement } from './agreement.js';
import type { GroupRequest, NameAndDate, SnapshotMark } from './request.js';

/**
 * The record of a group edit that is on its way: what is done, and to which images. It lies beside the images from just
 * before the first switch to just after the last one. Anybody can make one with a right checksum: it says what is to be
 * planned again, and never what is to be written.
 *
 * ```
 * { "format": "qsnap group edit", "version": 1, "sha256": "…", "edit": { request, images } }
 * ```
 *
 * The checksum is that of `edit` as JSON without spaces.
 */
export interface GroupRecord {
  readonly request: GroupRequest;
  readonly images: readonly RecordedFile[];
}

/** One image of a group edit. */
export interface RecordedImage {
  /** Bytes 24 to 95 of the header before the edit and after it, in hex. */
  readonly headerBefore: string;
  readonly headerAfter: string;
  /** The image's own snapshots that the edit is about. */
  readonly chosen: readonly SnapshotMark[];
}

/** The same with the file that the image lies in, as the record names it. */
export interface RecordedFile extends RecordedImage {
  readonly file: string;
}

/** Bounds on what a record may claim. All of them are ours. */
export const RECORD_LIMITS = {
  /** Room for many images with long names, and for thousands of snapshots. */
  bytesMax: 16 * 2 ** 20,
  imagesMax: 1024,
  /** Twice as deep as a record is. */
  depthMax: 14,
} as const;

/** Where the record of a group lies. */
export interface RecordStore {
  /** @throws QsnapError GROUP_RECORD_INVALID for one that can't be read; OPEN_FAILED, READ_FAILED. */
  read(): Promise<FoundRecord | undefined>;
  /**
   * Looks whether a record could be written, as far as that can be told without writing.
   *
   * @throws QsnapError GROUP_INVALID where no image has a folder that lasts; OPEN_FAILED.
   */
  foretell(): Promise<void>;
  /**
   * Makes sure that a record can be written. Nobody finds one by that.
   *
   * @throws QsnapError GROUP_INVALID, OPEN_FAILED, IMAGE_IN_USE.
   */
  prepare(): Promise<void>;
  /** Takes back what `prepare` made, if it has not become the record. */
  discard(): Promise<void>;
  /** Removes what cuts left of records that nobody ever found. */
  sweep(): Promise<void>;
  /**
   * Writes the record that was prepared, and replaces the one that `read` found.
   *
   * @param images one for each image of the group, in its order.
   * @returns when it is on the medium.
   */
  write(request: GroupRequest, images: readonly RecordedImage[]): Promise<void>;
  /** Removes the record. Resolves when the medium no longer has it. */
  remove(): Promise<void>;
}

/** A record that was found beside an image. */
export interface FoundRecord {
  /** What messages call it. */
  readonly label: string;
  readonly request: GroupRequest;
  /** The images as the record names them. */
  readonly files: readonly string[];
  /** One for each image of the group, in its order; undefined where it is of other images. */
  readonly images: readonly RecordedImage[] | undefined;
}

const FORMAT = 'qsnap group edit';
const VERSION = 1;
const SWITCH_FROM = 24;
const SWITCH_END = 96;

/** Bytes 24 to 95 of a header's first sector, in hex, as records have them. */
export function recordedHeader(sector: Uint8Array): string {
  return hexOfBytes(sector.subarray(SWITCH_FROM, SWITCH_END));
}

/**
 * The bytes of a record.
 *
 * @throws QsnapError LIMIT_EXCEEDED; GROUP_RECORD_INVALID where it would not be read again: then nothing may rely on it.
 */
export function encodeGroupRecord(edit: GroupRecord, newHasher: NewHasher): Uint8Array {
  const head = { format: FORMAT, version: VERSION, sha256: checksumOf(edit, newHasher) };
  const bytes = utf8Bytes(`${JSON.stringify({ ...head, edit })}\n`);
  const most = RECORD_LIMITS.bytesMax;
  if (bytes.length > most) {
    throw new QsnapError('LIMIT_EXCEEDED', `the record would have ${bytes.length} bytes`, {
      structure: 'record of a group edit',
      expected: `at most ${most} bytes`,
      hint: 'make the edit in several steps',
    });
  }
  decodeGroupRecord(bytes, newHasher);
  return bytes;
}

function checksumOf(edit: unknown, newHasher: NewHasher): string {
  return digestOf(utf8Bytes(JSON.stringify(edit)), newHasher);
}

/**
 * What a record says, once it is sure that it is whole.
 *
 * @throws QsnapError GROUP_RECORD_INVALID.
 */
export function decodeGroupRecord(bytes: Uint8Array, newHasher: NewHasher): GroupRecord {
  const whole = json.recordOf(parsed(bytes), 'content');
  if (whole['format'] !== FORMAT) throw json.wrong('format', whole['format'], `"${FORMAT}"`);
  if (whole['version'] !== VERSION) throw json.wrong('version', whole['version'], `${VERSION}`);
  const expected = checksumOf(whole['edit'] ?? null, newHasher);
  if (whole['sha256'] !== expected) throw json.wrong('sha256', whole['sha256'], expected);
  const edit = json.recordOf(whole['edit'], 'edit');
  const request = requestOf(edit['request']);
  const images = json.listOf(edit['images'], 'images', RECORD_LIMITS.imagesMax, recordedOf);
  refuseDisagreement(request, images);
  return { request, images };
}

/** A record that says one thing and would do another. */
function refuseDisagreement(request: GroupRequest, images: readonly RecordedFile[]): void {
  if (request.operation === 'delete' && request.snapshots.length === 0) {
    throw json.wrong('request.snapshots.length', 0, 'at least 1');
  }
  const chosen = images.map((image) => image.chosen);
  const found = disagreement(request, chosen);
  if (found === undefined) return;
  throw json.wrong(`images[${found.image}].chosen`, found.actual, found.expected);
}

function parsed(bytes: Uint8Array): unknown {
  const most = RECORD_LIMITS.depthMax;
  if (nestsDeeperThan(most, bytes)) {
    const expected = `at most ${most} levels`;
    throw groupRecordInvalid('its lists and objects lie too deep in each other', { expected });
  }
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw groupRecordInvalid('it is no JSON', { expected: 'JSON' });
  }
}

const json = new ForeignJson((path, actual, expected) =>
  groupRecordInvalid(`its ${path} is ${actual}, not ${expected}`, { actual, expected }),
);

/** The file is no record of a group edit, or none that qsnap wrote. */
export function groupRecordInvalid(reason: string, details: ErrorDetails = {}): QsnapError {
  return new QsnapError('GROUP_RECORD_INVALID', `the record can't be read: ${reason}`, {
    structure: 'record of a group edit',
    imageState: 'unchanged',
    hint: 'look which images have the edit: once all of them have it, or none, remove the record',
    ...details,
  });
}

function requestOf(value: unknown): GroupRequest {
  const fields = json.recordOf(value, 'request');
  const { operation } = fields;
  const textAt = (name: string): string => json.textOf(fields[name], `request.${name}`);
  switch (operation) {
    case 'create':
      return { operation, name: textAt('name'), date: dateOf(fields['date'], 'request.date') };
    case 'apply': {
      const discardChanges = fields['discardChanges'] === true;
      const saveAs = fields['saveAs'];
      const kept = saveAs === undefined ? {} : { saveAs: namedOf(saveAs, 'request.saveAs') };
      return { operation, snapshot: textAt('snapshot'), discardChanges, ...kept };
    }
    case 'delete': {
      const names = fields['snapshots'];
      const most = LIMITS.snapshotsMax.value;
      const snapshots = json.listOf(names, 'request.snapshots', most, (one, path) =>
        json.textOf(one, path),
      );
      return { operation, snapshots };
    }
    default:
      throw json.wrong('request.operation', operation, '"create", "apply" or "delete"');
  }
}

function recordedOf(value: unknown, path: string): RecordedFile {
  const fields = json.recordOf(value, path);
  const header = (name: string): string =>
    json.hexOf(fields[name], `${path}.${name}`, SWITCH_END - SWITCH_FROM);
  return {
    file: json.textOf(fields['file'], `${path}.file`),
    headerBefore: header('headerBefore'),
    headerAfter: header('headerAfter'),
    chosen: json.listOf(
      fields['chosen'],
      `${path}.chosen`,
      LIMITS.snapshotsMax.value,
      (one, at) => ({
        id: json.textOf(json.recordOf(one, at)['id'], `${at}.id`),
        ...namedOf(one, at),
      }),
    ),
  };
}

function namedOf(value: unknown, path: string): NameAndDate {
  const fields = json.recordOf(value, path);
  const name = json.textOf(fields['name'], `${path}.name`);
  return { name, date: dateOf(fields['date'], `${path}.date`) };
}

function dateOf(value: unknown, path: string): SnapshotDate {
  const fields = json.recordOf(value, path);
  const most = 2 ** 32 - 1;
  return {
    seconds: json.integerOf(fields['seconds'], `${path}.seconds`, 0, most),
    nanoseconds: json.integerOf(fields['nanoseconds'], `${path}.nanoseconds`, 0, most),
  };
}
