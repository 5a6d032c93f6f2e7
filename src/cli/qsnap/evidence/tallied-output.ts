import { newSha256 } from '../../../node/index.js';
import type { CliOutput } from '../../streams.js';

/** What went to an output. */
export interface OutputTally {
  readonly bytes: number;
  readonly sha256: string;
}

/** The same output, and what went to it so far. */
export function tallied(output: CliOutput): {
  readonly output: CliOutput;
  readonly tally: () => OutputTally;
} {
  const hasher = newSha256();
  let bytes = 0;
  const count = (text: string | Uint8Array): void => {
    const written = typeof text === 'string' ? Buffer.from(text) : text;
    hasher.update(written);
    bytes += written.length;
  };
  const send = output.send?.bind(output);
  return {
    output: {
      get isTerminal() {
        return output.isTerminal;
      },
      write(text) {
        count(text);
        output.write(text);
      },
      ...(send !== undefined && {
        send: (sent: Uint8Array) => {
          count(sent);
          return send(sent);
        },
      }),
    },
    tally: () => ({ bytes, sha256: hasher.digest() }),
  };
}
