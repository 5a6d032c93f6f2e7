import { readFileSync } from 'node:fs';
import { QsnapError } from '../../index.js';

const STDIN = 0;
const NEWLINE = 0x0a;

/**
 * The passphrase in a file, or on stdin for `-`. One newline at its end does not count: editors and
 * `echo` add it.
 *
 * @throws QsnapError OPEN_FAILED.
 */
export function readPassphrase(file: string): Uint8Array {
  try {
    const bytes = readFileSync(file === '-' ? STDIN : file);
    return new Uint8Array(bytes.at(-1) === NEWLINE ? bytes.subarray(0, -1) : bytes);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new QsnapError('OPEN_FAILED', `Can't read the passphrase: ${reason}`, { file }, error);
  }
}
