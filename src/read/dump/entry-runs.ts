import type { DumpPart } from './parts.js';
import type { DumpedField } from './dumped.js';
import { hex } from '../../base/words.js';

/** What an entry of a table says. */
export interface SaidEntry {
  /** In words, without the offset: the same for all entries of a run. */
  readonly kind: string;
  /** Where it leads to, in bytes; undefined where to no place. */
  readonly host?: number | undefined;
  /** The entry can't be right. */
  readonly expected?: string | undefined;
}

/** Which entries these are, and what they go on by. */
export interface RunOf {
  readonly part: DumpPart;
  readonly structure: string;
  /** How far the place of each next entry of a run is from the one before. */
  readonly step: number;
  /** Whether each entry is told by itself. */
  readonly every: boolean;
}

/** Takes entries of a table in their order, and gives those that go on from each other as one. */
export class EntryRuns {
  readonly #of: RunOf;
  readonly #done: DumpedField[] = [];
  #open:
    | (SaidEntry & { first: number; last: number; at: number; length: number; bytes: Uint8Array })
    | undefined;

  constructor(of: RunOf) {
    this.#of = of;
  }

  /**
   * @param bytes of the entry: its place in the file, its length in the table, and what it is stored as.
   */
  add(index: number, at: number, bytes: Uint8Array, said: SaidEntry): void {
    const open = this.#open;
    if (open !== undefined && this.#goesOn(open, index, said)) {
      open.last = index;
      open.length = at + bytes.length - open.at;
      return;
    }
    this.#close();
    this.#open = {
      ...said,
      first: index,
      last: index,
      at,
      length: bytes.length,
      bytes: bytes.slice(),
    };
  }

  /** What is complete, and no longer kept here. */
  taken(): DumpedField[] {
    return this.#done.splice(0);
  }

  /** The rest, once no entry comes any more. */
  finish(): DumpedField[] {
    this.#close();
    return this.taken();
  }

  #goesOn(
    open: SaidEntry & { readonly first: number; readonly last: number },
    index: number,
    { kind, host, expected }: SaidEntry,
  ): boolean {
    if (this.#of.every || index !== open.last + 1) return false;
    if (kind !== open.kind || expected !== open.expected) return false;
    if (host === undefined || open.host === undefined) return host === open.host;
    return host === open.host + (index - open.first) * this.#of.step;
  }

  #close(): void {
    const open = this.#open;
    if (open === undefined) return;
    this.#open = undefined;
    const { first, last, at, length, bytes, kind, host, expected } = open;
    const isOne = first === last;
    const where = host === undefined ? '' : `, host ${hex(host)}${isOne ? '' : ' onwards'}`;
    this.#done.push({
      part: this.#of.part,
      structure: this.#of.structure,
      name: isOne ? `entry ${first}` : `entries ${first}-${last}`,
      ...{ at, length, bytes },
      ...(host !== undefined && { value: host }),
      text: kind.replace('{host}', where),
      entries: { first, last },
      ...(expected !== undefined && { problem: { expected } }),
    });
  }
}
