/**
 * The bytes of an image that nothing refers to, by a plain reading that shares no code with the engine; and secrets
 * planted there.
 */
import { layoutOf, refcountOf, snapshotsOf, u32, u64 } from './image-builder-layout.js';

export interface UnreferencedRange {
  readonly where: 'free cluster' | 'tail' | 'header' | 'snapshot table' | 'L1 table';
  readonly at: number;
  readonly length: number;
}

/** Slack of clusters with a refcount above 1 is none: something else may lie there. */
export function unreferencedIn(bytes: Uint8Array): readonly UnreferencedRange[] {
  const layout = layoutOf(bytes);
  const { clusterBytes } = layout;
  const ranges: { where: UnreferencedRange['where']; at: number; length: number }[] = [];
  const clusters = Math.ceil(bytes.length / clusterBytes);
  let used = 0;
  for (let cluster = 0; cluster < clusters; cluster++) {
    if (refcountOf(bytes, layout, cluster) > 0n) used = cluster;
  }
  for (let cluster = 0; cluster < used; cluster++) {
    if (refcountOf(bytes, layout, cluster) > 0n) continue;
    ranges.push({ where: 'free cluster', at: cluster * clusterBytes, length: clusterBytes });
  }
  const add = (where: UnreferencedRange['where'], at: number, end: number): void => {
    const length = Math.min(end, bytes.length) - at;
    if (length <= 0) return;
    const isAlone = refcountOf(bytes, layout, Math.floor(at / clusterBytes)) === 1n;
    if (where === 'tail' || isAlone) ranges.push({ where, at, length });
  };
  const behind = (where: UnreferencedRange['where'], at: number): void => {
    add(where, at, Math.ceil(at / clusterBytes) * clusterBytes);
  };
  add('tail', (used + 1) * clusterBytes, bytes.length);
  const nameAt = Number(u64(bytes, 8));
  const nameEnd = nameAt + u32(bytes, 16);
  const extensionsEnd = extensionsEndOf(bytes, nameAt === 0 ? clusterBytes : nameAt);
  if (nameAt > 0) add('header', extensionsEnd, nameAt);
  add('header', Math.max(extensionsEnd, nameEnd), clusterBytes);
  const { snapshots, tableBytes } = snapshotsOf(bytes);
  // Spec: the last entry is padded as all others are.
  const padded = Math.ceil(tableBytes / 8) * 8;
  if (tableBytes > 0) behind('snapshot table', layout.snapshotTableAt + padded);
  for (const { l1At, l1Entries } of [layout, ...snapshots]) {
    if (l1Entries > 0) behind('L1 table', l1At + l1Entries * 8);
  }
  return ranges;
}

/** Where the extensions end, with the end marker. */
function extensionsEndOf(bytes: Uint8Array, areaEnd: number): number {
  let at = layoutOf(bytes).version >= 3 ? u32(bytes, 100) : 72;
  while (at < areaEnd) {
    if (u32(bytes, at) === 0) return at + 8;
    at += 8 + Math.ceil(u32(bytes, at + 4) / 8) * 8;
  }
  return at;
}

/** What all secrets have in them. */
export const SECRET = 'hunter2';

/** The image with a secret over every byte that nothing refers to, and with a tail of some clusters and a bit. */
export function withSecrets(bytes: Uint8Array): Uint8Array {
  const { clusterBytes } = layoutOf(bytes);
  const whole = Math.ceil(bytes.length / clusterBytes) * clusterBytes;
  const planted = new Uint8Array(whole + 2 * clusterBytes + 100);
  planted.set(bytes);
  const text = new TextEncoder().encode(`${SECRET} `);
  for (const { at, length } of unreferencedIn(planted)) {
    for (let i = 0; i < length; i++) planted[at + i] = text[i % text.length]!;
  }
  return planted;
}

/** The image with zeros wherever nothing refers to a byte. */
export function scrubbedPlainly(bytes: Uint8Array): Uint8Array {
  const scrubbed = bytes.slice();
  for (const { at, length } of unreferencedIn(bytes)) scrubbed.fill(0, at, at + length);
  return scrubbed;
}
