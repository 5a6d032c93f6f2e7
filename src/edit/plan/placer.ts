import { roundUp } from '../../base/units.js';
import { bytesOfWords } from '../../base/words.js';
import type { L1Ref } from '../../qcow2/header.js';
import type { LiteralWrite, ShadowWrite } from '../tx/plan.js';
import type { TableContent } from '../tx/table-content.js';
import type { Ledger } from './ledger.js';

/** Finds places for the tables that an edit writes, and collects the writes: all new tables get theirs here. */
export class Placer {
  readonly ledger: Ledger;
  readonly #clusterBytes: number;
  readonly #writes: ShadowWrite[] = [];

  constructor(ledger: Ledger, clusterBytes: number) {
    this.ledger = ledger;
    this.#clusterBytes = clusterBytes;
  }

  /** The writes, in the order in which they got their places. */
  get writes(): readonly ShadowWrite[] {
    return this.#writes;
  }

  /** Adds writes of which the places are known. */
  add(...writes: readonly ShadowWrite[]): void {
    this.#writes.push(...writes);
  }

  /** Places bytes, padded with zeros to whole clusters, so that no old bytes stay behind. */
  literal(what: string, bytes: Uint8Array): LiteralWrite {
    const padded = new Uint8Array(roundUp(bytes.length, this.#clusterBytes));
    padded.set(bytes);
    const at = this.ledger.placeRun(bytes.length);
    const write: LiteralWrite = { kind: 'literal', what, at, bytes: padded };
    this.#writes.push(write);
    return write;
  }

  /** Places an L1 table, given in host order. */
  l1(what: string, words: Uint32Array): L1Ref {
    const { at } = this.literal(what, bytesOfWords(words));
    return { at, entries: words.length / 2 };
  }

  /**
   * Places so many L2 tables, which are made when they are written.
   *
   * @param sources what they are copies of; undefined: they are made of zeros.
   * @returns where they go: host offsets, ascending.
   */
  l2Tables(count: number, sources: Float64Array | undefined, content: TableContent): Float64Array {
    const targets = this.ledger.placeTables(count);
    const tableBytes = this.#clusterBytes;
    if (count > 0) {
      this.#writes.push({
        kind: 'tables',
        what: 'L2 tables',
        tableBytes,
        targets,
        sources,
        content,
      });
    }
    return targets;
  }
}
