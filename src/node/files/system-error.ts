/** The system's errors as qsnap's: one plain sentence, the system's own error as cause. */
import path from 'node:path';
import { printableText } from '../../base/text.js';
import { QsnapError, isQsnapError } from '../../errors.js';

const OPEN_REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'a part of the path is not a directory',
  EACCES: 'permission is denied',
  EPERM: 'the system does not permit it',
  EROFS: 'the file system is read-only',
  ETXTBSY: 'it is being run as a program or used as swap space',
  ELOOP: 'the path has too many symbolic links',
  ENAMETOOLONG: 'the path is too long',
  EMFILE: 'this process has too many open files',
  ENFILE: 'the system has too many open files',
  ENXIO: 'there is no device behind it',
  ENOMEDIUM: 'there is no medium in the drive',
  EBUSY: 'the device is busy',
  EIO: 'the medium has an error',
};

const FULL_REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'no space is left',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'the file would become longer than the system allows',
};

/** The system's name of an error, such as ENOENT. */
export function systemCodeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

export function openFailed(path: string, error: unknown): QsnapError {
  const code = systemCodeOf(error);
  const reason = OPEN_REASONS[code ?? ''] ?? reasonOf(error);
  const details = { file: path, ...(code === undefined ? {} : { systemCode: code }) };
  return new QsnapError(
    'OPEN_FAILED',
    `Can't open ${printableText(path)}: ${reason}`,
    details,
    error,
  );
}

/** No file can be made in a folder: of its name, which may be a temporary one, nobody has to know. */
export function makeFailed(file: string, error: unknown): QsnapError {
  const folder = path.dirname(file);
  const code = systemCodeOf(error);
  const reason =
    code === 'ENOENT' ? 'there is no such folder' : (OPEN_REASONS[code ?? ''] ?? reasonOf(error));
  const details = { file: folder, ...(code === undefined ? {} : { systemCode: code }) };
  const message = `Can't make a file in ${printableText(folder)}: ${reason}`;
  return new QsnapError('OPEN_FAILED', message, details, error);
}

/** `doing` completes "Can't …", such as "read 512 bytes of a.qcow2 at byte 0". */
export function readFailed(file: string, doing: string, error: unknown, at?: number): QsnapError {
  return failed('READ_FAILED', file, doing, error, at);
}

/** NO_SPACE where the medium is full, else WRITE_FAILED. `doing` completes "Can't …". */
export function writeFailed(file: string, doing: string, error: unknown, at?: number): QsnapError {
  const full = Object.hasOwn(FULL_REASONS, systemCodeOf(error) ?? '');
  return failed(full ? 'NO_SPACE' : 'WRITE_FAILED', file, doing, error, at);
}

function failed(
  code: 'READ_FAILED' | 'WRITE_FAILED' | 'NO_SPACE',
  file: string,
  doing: string,
  error: unknown,
  at: number | undefined,
): QsnapError {
  if (isQsnapError(error)) return error;
  const systemCode = systemCodeOf(error);
  const reason = FULL_REASONS[systemCode ?? ''] ?? reasonOf(error);
  const details = {
    file,
    ...(at === undefined ? {} : { at }),
    ...(systemCode === undefined ? {} : { systemCode }),
  };
  return new QsnapError(code, `Can't ${doing}: ${reason}`, details, error);
}

function reasonOf(error: unknown): string {
  if (systemCodeOf(error) === 'EIO') return 'the medium has an error';
  return error instanceof Error ? error.message : String(error);
}
