/** Images that QEMU made and a test then breaks: one change at a time, to the bytes of the file. */
import { roundsOf, seedOf } from './model-random.js';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { memoryDirectory } from './directories.js';
import {
  layoutOf,
  OFFSET_MASK,
  refcountOf,
  u64,
  type PlainLayout,
} from './image-builder-layout.js';
import { makeImage } from './made-images.js';

/** Options of `qemu-img create` for the kinds of image that a damage is tried on. */
export const SHAPES = {
  'version 3': 'cluster_size=64k',
  'version 2': 'compat=0.10',
  'clusters of 4 KiB': 'cluster_size=4k',
  'clusters of 2 MiB': 'cluster_size=2M',
  'extended L2': 'extended_l2=on,cluster_size=64k',
} as const;
export type Shape = keyof typeof SHAPES;
export const ALL_SHAPES = Object.keys(SHAPES) as Shape[];

/** Every case on each shape in a long run; in a plain one on one of them, by the seed and the case. */
export function onShapes<Case extends string>(
  cases: readonly Case[],
  shapes: readonly Shape[],
): [Case, Shape][] {
  const isLong = roundsOf(1) > 1;
  return cases.flatMap((one, i) => {
    const chosen = isLong ? shapes : [shapes[(i + seedOf()) % shapes.length]!];
    return chosen.map((shape): [Case, Shape] => [one, shape]);
  });
}

/** A new image in a folder that goes away with the test. */
export async function newImage(size: string, shape: Shape | { options: string }): Promise<string> {
  const image = path.join(memoryDirectory(), 'a.qcow2');
  const options = typeof shape === 'string' ? SHAPES[shape] : shape.options;
  await makeImage(image, size, options);
  return image;
}

/** The bytes of a file as a test may change them, with what its header says. */
export interface Broken {
  readonly bytes: Uint8Array;
  readonly layout: PlainLayout;
  /** Host offset in the 64-bit entry at this place in the file. */
  readonly offsetAt: (at: number) => number;
}

/** Changes the bytes of an image; what `how` returns takes the place of all of them. */
export function breakImage(image: string, how: (image: Broken) => Uint8Array | undefined): void {
  const bytes = new Uint8Array(readFileSync(image));
  const offsetAt = (at: number): number => Number(u64(bytes, at) & OFFSET_MASK);
  writeFileSync(image, how({ bytes, layout: layoutOf(bytes), offsetAt }) ?? bytes);
}

/** Bytes of an entry of an L2 table. */
export const entryBytes = ({ extendedL2 }: PlainLayout): number => (extendedL2 ? 16 : 8);

/** Where the active L2 table lies that maps this byte of the disk. */
export function l2TableAt({ layout, offsetAt }: Broken, guestOffset: number): number {
  const perTable = (layout.clusterBytes / entryBytes(layout)) * layout.clusterBytes;
  return offsetAt(layout.l1At + 8 * Math.floor(guestOffset / perTable));
}

/** Where the active L2 entry lies that maps this byte of the disk. */
export function l2EntryAt(image: Broken, guestOffset: number): number {
  const { layout } = image;
  const perTable = layout.clusterBytes / entryBytes(layout);
  const index = Math.floor(guestOffset / layout.clusterBytes) % perTable;
  return l2TableAt(image, guestOffset) + index * entryBytes(layout);
}

/**
 * Clusters that hold one byte again and again, as `write -P` makes them: what a guest wrote, by offset.
 * Where the refcounts can be read, those alone that count as used.
 */
export function patterns(bytes: Uint8Array): ReadonlyMap<number, number> {
  const layout = layoutOf(bytes);
  const found = new Map<number, number>();
  const { clusterBytes } = layout;
  for (let at = 0; at + clusterBytes <= bytes.length; at += clusterBytes) {
    const first = bytes[at]!;
    const cluster = Buffer.from(bytes.buffer, bytes.byteOffset + at, clusterBytes);
    if (first === 0 || Buffer.compare(cluster, Buffer.alloc(clusterBytes, first)) !== 0) continue;
    if (countsAsUsed(bytes, layout, at / clusterBytes)) found.set(at, first);
  }
  return found;
}

function countsAsUsed(bytes: Uint8Array, layout: PlainLayout, cluster: number): boolean {
  try {
    return refcountOf(bytes, layout, cluster) > 0n;
  } catch (error) {
    // The table or the block lies past the end of the file: nobody knows.
    if (error instanceof RangeError || error instanceof TypeError) return true;
    throw error;
  }
}
