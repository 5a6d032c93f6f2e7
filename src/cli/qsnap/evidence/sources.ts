/** What a command reads, as it was before the command and after it. */
import { realpath } from 'node:fs/promises';
import { printableText } from '../../../internal.js';
import { newSha256 } from '../../../node/index.js';
import { isUrl } from '../../remote/location.js';
import { stateOfSource, type SourceState } from './source-state.js';

interface Source {
  /** As it was named. */
  readonly name: string;
  readonly location: string;
  readonly before: SourceState;
}

/** The sources of a record. */
export class Sources {
  readonly #files: Source[] = [];
  readonly #known = new Set<string>();
  #stdin: { readonly hasher: ReturnType<typeof newSha256>; size: number } | undefined;

  /** Adds a file before it is read; one that is there already stays as it was found first. */
  async add(name: string, location: string): Promise<void> {
    const before = await stateOfSource(location);
    this.#known.add(await placeOf(location));
    this.#files.push({ name, location, before });
  }

  /** Adds a file that no argument names. One that several images have as backing file is one source. */
  async addOpened(name: string, location: string): Promise<void> {
    const place = await placeOf(location);
    if (this.#known.has(place)) return;
    // Before the file is hashed, since another image may open it meanwhile.
    this.#known.add(place);
    await this.add(name, location);
  }

  /** The image comes on stdin: nobody can read it twice. */
  addStdin(): void {
    this.#stdin = { hasher: newSha256(), size: 0 };
  }

  hasCome(bytes: Uint8Array): void {
    if (this.#stdin === undefined) return;
    this.#stdin.hasher.update(bytes);
    this.#stdin.size += bytes.length;
  }

  /** Looks at them again. */
  async seenAgain(): Promise<{
    readonly sources: readonly Record<string, unknown>[];
    readonly isUnchanged: boolean;
  }> {
    const sources: Record<string, unknown>[] = [];
    if (this.#stdin !== undefined) {
      const { hasher, size } = this.#stdin;
      const before = { size, sha256: hasher.digest() };
      sources.push({ filename: '-', path: '-', before, after: {} });
    }
    for (const { name, location, before } of this.#files) {
      sources.push(sourceJson(name, before, await stateOfSource(location)));
    }
    return { sources, isUnchanged: sources.every((one) => one['is-unchanged'] !== false) };
  }
}

async function placeOf(location: string): Promise<string> {
  return isUrl(location) ? location : realpath(location).catch(() => location);
}

function sourceJson(
  name: string,
  { path, ...before }: SourceState,
  { path: _, ...after }: SourceState,
): Record<string, unknown> {
  const isKnown = before.sha256 !== undefined;
  return {
    filename: printableText(name),
    path,
    before,
    after,
    ...(isKnown && { 'is-unchanged': JSON.stringify(before) === JSON.stringify(after) }),
  };
}
