import { QsnapError } from '../../index.js';
import type { CliOutput } from '../streams.js';

/** Sends bytes to stdout. @throws QsnapError WRITE_FAILED, also where the reader went away. */
export async function sent(bytes: Uint8Array, stdout: CliOutput): Promise<void> {
  try {
    if (stdout.send === undefined) stdout.write(bytes);
    else await stdout.send(bytes);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new QsnapError('WRITE_FAILED', `Can't write to stdout: ${reason}`, {}, error);
  }
}
