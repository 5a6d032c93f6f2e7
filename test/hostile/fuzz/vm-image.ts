/** The plain image with a VM state in its snapshot. */
import { at, CLUSTER, patch, PLACE, plainImage, type Patch } from './plain-image.js';

/** Host clusters behind those of the plain image: a new L1 table, the L2 table of the VM state, and the stream. */
const L1 = PLACE.end;
const L2 = PLACE.end + 1;
const STREAM = PLACE.end + 2;
const COPIED = 1n << 63n;

/** Puts bytes at places of a stream that is as long as they reach; all between is not mapped. */
export interface StreamPart {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** An image of which a snapshot has this stream behind its disk, each of its parts at the start of a cluster. */
export function vmStateImage(parts: readonly StreamPart[]): Uint8Array {
  const clusters = parts.map(({ bytes }) => Math.ceil(bytes.length / CLUSTER));
  const total = clusters.reduce((sum, count) => sum + count, 0);
  const last = parts.at(-1)!;
  const tables = Math.ceil((last.at + last.bytes.length) / CLUSTER / (CLUSTER / 8));
  // Each L2 table but the first lies behind the stream.
  const l2s = Array.from({ length: tables }, (_, i) => (i === 0 ? L2 : STREAM + total + i - 1));
  const image = new Uint8Array((STREAM + total + tables) * CLUSTER);
  image.set(plainImage());
  const entry = at('snapshotTable');
  const bytes = last.at + last.bytes.length;
  const patches: Patch[] = [
    [entry, 8, L1 * CLUSTER],
    [entry + 8, 4, 1 + tables],
    [entry + 32, 4, Math.min(bytes, 2 ** 32 - 1)],
    [entry + 40, 8, bytes],
    [L1 * CLUSTER, 8, at('l2')],
    [at('refcountBlock', 2 * PLACE.snapshotL1), 2, 0],
    ...l2s.map((l2, i): Patch => [L1 * CLUSTER + 8 + 8 * i, 8, BigInt(l2 * CLUSTER) | COPIED]),
  ];
  let host = STREAM;
  for (const [i, part] of parts.entries()) {
    image.set(part.bytes, host * CLUSTER);
    for (let k = 0; k < clusters[i]!; k += 1, host += 1) {
      const index = part.at / CLUSTER + k;
      const l2 = l2s[Math.floor(index / (CLUSTER / 8))]!;
      const entryAt = l2 * CLUSTER + (index % (CLUSTER / 8)) * 8;
      patches.push([entryAt, 8, BigInt(host * CLUSTER) | COPIED]);
    }
  }
  for (const cluster of new Set([L1, ...l2s, ...range(STREAM, STREAM + total)])) {
    patches.push([at('refcountBlock', 2 * cluster), 2, 1]);
  }
  patch(image, patches);
  return image;
}

function range(from: number, end: number): readonly number[] {
  return Array.from({ length: end - from }, (_, i) => from + i);
}
