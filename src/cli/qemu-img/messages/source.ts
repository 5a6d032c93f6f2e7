/** QEMU's wording about secrets, and about files that a source disk needs. Byte strings. */
import { byteStringOfText } from '../grammar/bytes.js';

export const BACKING_PREFIX = 'Could not open backing file: ';

export const SECRET_REASONS = {
  badFormat: (format: string) => `Parameter 'format' does not accept value '${format}'`,
  badBase64: 'Base64 data contains invalid characters',
  missing: (id: string) => `No secret with id '${id}'`,
  unreadable: (file: string, reason: string) =>
    byteStringOfText('Unable to read ') +
    `${file}: ${byteStringOfText('Failed to open file “')}${file}${byteStringOfText('”: ')}${reason}`,
  notReadable: (file: string, reason: string) =>
    `Unable to read ${file}: ` +
    `${byteStringOfText('Error reading file “')}${file}${byteStringOfText('”: ')}${reason}`,
  notUtf8: (id: string) => `Data from secret ${id} is not valid UTF-8`,
  keyBytes: (bytes: number) => `Key should be ${bytes} bytes in length`,
  noIv: 'IV is required to decrypt secret',
  ivBytes: (bytes: number, given: number) => `IV should be ${bytes} bytes in length not ${given}`,
  noBlocks: (bytes: number, block: number) =>
    `Length ${bytes} must be a multiple of block size ${block}`,
  padding: (bytes: number) =>
    `Incorrect number of padding bytes (${bytes}) found on decrypted data`,
} as const;

export const KEY_REASONS = {
  required: "Parameter 'encrypt.key-secret' is required for cipher",
  otherFormat: (found: string, asked: string) =>
    `Header reported '${found}' encryption format but options specify '${asked}'`,
} as const;
