import { createOutputFile } from '../../../node/index.js';
import { sent } from '../../qsnap/sent.js';
import type { CliOutput } from '../../streams.js';

/** Where bytes go, one after the other. */
export interface ByteOutput {
  write(bytes: Uint8Array): Promise<void>;
  /** All is written. */
  commit(): Promise<void>;
  /** Takes back what is not committed. */
  discard(): Promise<void>;
}

/**
 * A new file, which gets its name when it is complete; or stdout, for `-`.
 *
 * @throws QsnapError as `createOutputFile`.
 */
export async function newOutput(
  name: string,
  replace: boolean,
  stdout: CliOutput,
): Promise<ByteOutput> {
  if (name === '-') return toStdout(stdout);
  const output = await createOutputFile(name, { replace });
  let at = 0;
  return {
    async write(bytes) {
      if (bytes.length === 0) return;
      await output.device.writeBatch([{ at, bytes }]);
      at += bytes.length;
    },
    async commit() {
      await output.device.flush();
      await output.commit();
    },
    discard: () => output.discard(),
  };
}

function toStdout(stdout: CliOutput): ByteOutput {
  const nothing = (): Promise<void> => Promise.resolve();
  return {
    async write(bytes) {
      if (bytes.length > 0) await sent(bytes, stdout);
    },
    commit: nothing,
    discard: nothing,
  };
}
