import { createReadStream } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { printableText } from '../../../internal.js';
import { newSha256 } from '../../../node/index.js';
import { isUrl, shownLocation } from '../../remote/location.js';
import { utcTimeText } from '../../text.js';

/** A file that a command reads, as its record has it. */
export interface SourceState {
  /** Without links; of an address, the address. */
  readonly path: string;
  readonly size?: number;
  /** When its content was changed last, in UTC. */
  readonly modified?: string;
  readonly sha256?: string;
  /** Why it could not be looked at. */
  readonly problem?: string;
}

const NANOSECONDS = 1_000_000_000n;

/** Reads a whole file. It never throws for what is wrong with the file: that is in the state. */
export async function stateOfSource(location: string): Promise<SourceState> {
  // What is on a server is not downloaded whole; a command that reads it holds it to one version.
  if (isUrl(location)) return { path: shownLocation(location) };
  const path = await realpath(location).catch(() => location);
  try {
    const { mtimeNs } = await stat(path, { bigint: true });
    const hasher = newSha256();
    let size = 0;
    for await (const bytes of createReadStream(path) as AsyncIterable<Uint8Array>) {
      hasher.update(bytes);
      size += bytes.length;
    }
    const modified = utcTimeText({
      seconds: Number(mtimeNs / NANOSECONDS),
      nanoseconds: Number(mtimeNs % NANOSECONDS),
    });
    return { path: printableText(path), size, modified, sha256: hasher.digest() };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { path: printableText(path), problem: printableText(reason) };
  }
}
