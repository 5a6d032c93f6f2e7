import { newIoBytes } from '../../../base/io-bytes.js';
import type { OpenImage } from '../../../image/image.js';
import type { ReadRequest } from '../../../io/device.js';
import { settled } from '../../../io/settled.js';
import { PAIR_BYTES, type Pair } from './pairs.js';

/** Where clusters are tiny, a step ends by its number of pairs. */
const STEP_PAIRS = 4096;
/** Steps whose bytes are in memory: one is read, one compared. */
const STEPS_AT_ONCE = 2;

/** Which of the two images. */
export type Side = 'old' | 'made';

/** A pair with its bytes. */
export interface LoadedPair {
  readonly pair: Pair;
  /** Packed ones of a compressed cluster; undefined for zeros. */
  readonly bytes: Readonly<Record<Side, Uint8Array | undefined>>;
}

/**
 * Reads what is to be compared, so much at a time as memory holds, also of compressed clusters that are unpacked.
 *
 * The bytes are lent: they change two steps later.
 */
export async function* pairSteps(
  batches: AsyncIterable<Iterable<Pair>>,
  images: Readonly<Record<Side, OpenImage>>,
): AsyncGenerator<readonly LoadedPair[]> {
  const memories = Array.from({ length: STEPS_AT_ONCE }, () => {
    return { old: new SideMemory('old'), made: new SideMemory('made') };
  });
  let turn = 0;
  for await (const batch of batches) {
    for (const pairs of portionsOf(batch, images)) {
      const memory = memories[turn]!;
      turn = (turn + 1) % memories.length;
      const [old, made] = await settled([
        memory.old.read(images.old, pairs),
        memory.made.read(images.made, pairs),
      ]);
      yield pairs.map((pair, i) => ({ pair, bytes: { old: old[i], made: made[i] } }));
    }
  }
}

function* portionsOf(
  pairs: Iterable<Pair>,
  { old, made }: Readonly<Record<Side, OpenImage>>,
): Generator<readonly Pair[]> {
  const oldBytes = old.geometry.clusterBytes;
  const newBytes = made.geometry.clusterBytes;
  let portion: Pair[] = [];
  let bytes = 0;
  for (const pair of pairs) {
    // A compressed cluster is unpacked as a whole, however little of it is asked for.
    const needed = Math.max(
      pair.length,
      pair.old.kind === 'compressed' && pair.old.at !== portion.at(-1)?.old.at ? oldBytes : 0,
      pair.made.kind === 'compressed' ? newBytes : 0,
    );
    if (portion.length > 0 && (bytes + needed > PAIR_BYTES || portion.length === STEP_PAIRS)) {
      yield portion;
      portion = [];
      bytes = 0;
    }
    portion.push(pair);
    bytes += needed;
  }
  if (portion.length > 0) yield portion;
}

/** Memory that one side of a step after the other is read into. */
class SideMemory {
  readonly #side: Side;
  #memory = new Uint8Array(0);

  constructor(side: Side) {
    this.#side = side;
  }

  /** @returns the bytes of each pair. */
  async read(
    { source }: OpenImage,
    pairs: readonly Pair[],
  ): Promise<readonly (Uint8Array | undefined)[]> {
    const places = pairs.map((pair) => pair[this.#side]);
    const packed = new Map<number, number>();
    let bytes = 0;
    for (const [i, { kind, at, packedBytes }] of places.entries()) {
      if (kind === 'data') bytes += pairs[i]!.length;
      if (kind !== 'compressed' || packed.has(at)) continue;
      packed.set(at, packedBytes);
      bytes += packedBytes;
    }
    if (this.#memory.length < bytes) this.#memory = newIoBytes(bytes);
    let used = 0;
    const reads: ReadRequest[] = [];
    const read = (at: number, length: number): Uint8Array => {
      const into = this.#memory.subarray(used, used + length);
      used += length;
      reads.push({ at, into });
      return into;
    };
    const streams = new Map([...packed].map(([at, length]) => [at, read(at, length)]));
    const loaded = places.map(({ kind, at }, i) => {
      if (kind === 'zero') return undefined;
      return kind === 'data' ? read(at, pairs[i]!.length) : streams.get(at)!;
    });
    if (reads.length > 0) await source.readBatch(reads);
    return loaded;
  }
}
