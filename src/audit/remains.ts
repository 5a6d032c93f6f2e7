import { isZero } from '../base/bytes.js';
import { newIoBytes } from '../base/io-bytes.js';
import { MiB, roundUp } from '../base/units.js';
import { tableFormat } from '../image/table-format.js';
import type { OpenImage } from '../image/image.js';
import type { BlockSource, ByteRange } from '../io/device.js';
import { stretchesOf } from '../io/holes.js';
import { maskOf } from '../refcount/bits.js';
import { BlockGroups } from '../refcount/block-groups.js';
import { ClusterSet } from '../refcount/cluster-set.js';
import { readRefcountTable, visitRefcountBlocks } from '../refs/refcount-table.js';
import { disksOf } from '../refs/walk.js';
import type { Remains } from './rule.js';

const STEP_BYTES = 4 * MiB;
const SECTOR_BYTES = 512;
const GROUP = 32;

/**
 * Finds bytes of the file that nothing refers to and that are not zeros. What is free is what the refcounts call free: of
 * a damaged image that may be more.
 *
 * @throws QsnapError READ_FAILED, ABORTED.
 */
export async function findRemains(image: OpenImage): Promise<readonly Remains[]> {
  const { free, end } = await freeClusters(image);
  const { clusterBytes } = image.geometry;
  const { source, fileSizeBytes } = image;
  const inside: ByteRange[] = [];
  for (let first = free.next(0); first < end;) {
    const behind = free.nextMissing(first, end);
    inside.push({ at: first * clusterBytes, length: (behind - first) * clusterBytes });
    first = free.next(behind);
  }
  const usedBytes = end * clusterBytes;
  const tail = [{ at: usedBytes, length: Math.max(0, fileSizeBytes - usedBytes) }];
  const header = [slackBehind(headerEnd(image), clusterBytes)];
  const found = [
    await nonZeroIn(source, fileSizeBytes, 'free-clusters', inside),
    await nonZeroIn(source, fileSizeBytes, 'tail', tail),
    await nonZeroIn(source, fileSizeBytes, 'header-slack', header),
    await nonZeroIn(source, fileSizeBytes, 'table-slack', tableSlack(image)),
  ];
  return found.filter((one) => one !== undefined);
}

/** The clusters that the refcounts call free, and where those end that they do not. */
async function freeClusters(
  image: OpenImage,
): Promise<{ readonly free: ClusterSet; readonly end: number }> {
  const { geometry, fileSizeBytes } = image;
  const { refcountBlockEntries, refcountBits } = geometry;
  const { fileClusters } = tableFormat(image);
  const free = new ClusterSet(fileClusters);
  const blocks = await readRefcountTable(image, ({ offset, isAligned, hasStrayBits }) =>
    isAligned && !hasStrayBits && offset < fileSizeBytes ? offset : 0,
  );
  const groups = new BlockGroups(refcountBits);
  const endBlock = Math.ceil(fileClusters / refcountBlockEntries);
  let end = 0;
  await visitRefcountBlocks(image, blocks, [0, endBlock], (block, stored) => {
    const first = block * refcountBlockEntries;
    const blockEnd = Math.min(first + refcountBlockEntries, fileClusters);
    for (let from = first; from < blockEnd; from += GROUP) {
      groups.decode(stored, (from - first) / GROUP);
      const inside = maskOf(0, Math.min(GROUP, blockEnd - from));
      const used = groups.used() & inside;
      free.addWord(from / GROUP, ~used & inside);
      if (used !== 0) end = from + GROUP - Math.clz32(used);
    }
  });
  return { free, end };
}

/** Where the header, its extensions and the name of the backing file end. */
function headerEnd({ header, extensions }: OpenImage): number {
  const { at, bytes } = header.backingName;
  const ends = extensions.map((one) => one.at + 8 + roundUp(one.bytes.length, 8));
  // An end marker of 8 bytes follows; it is zeros.
  return Math.max(header.headerBytes, at + bytes, ...ends);
}

/** What tables leave of their last clusters: the snapshot table and the L1 tables. */
function tableSlack(image: OpenImage): readonly ByteRange[] {
  const { header, snapshotTableBytes, geometry } = image;
  const tables = [
    { at: header.snapshotTable.at, length: snapshotTableBytes },
    ...disksOf(image).map(({ l1 }) => ({ at: l1.at, length: l1.entries * 8 })),
  ];
  return tables
    .filter(({ length }) => length > 0)
    .map(({ at, length }) => slackBehind(at + length, geometry.clusterBytes));
}

function slackBehind(at: number, clusterBytes: number): ByteRange {
  return { at, length: roundUp(at, clusterBytes) - at };
}

async function nonZeroIn(
  source: BlockSource,
  fileSizeBytes: number,
  where: Remains['where'],
  ranges: readonly ByteRange[],
): Promise<Remains | undefined> {
  let first: number | undefined;
  let nonZeroBytes = 0;
  for (const { at: start, length } of ranges) {
    const inFile = Math.min(length, fileSizeBytes - start);
    if (inFile <= 0) continue;
    for await (const stretches of stretchesOf(source, start, inFile)) {
      for (const { at, length: bytes, isHole } of stretches) {
        if (isHole) continue;
        for await (const sector of nonZeroSectors(source, at, at + bytes)) {
          first ??= sector.at + sector.bytes.findIndex((byte) => byte !== 0);
          nonZeroBytes += sector.bytes.length;
        }
      }
    }
  }
  return first === undefined ? undefined : { where, at: first, bytes: nonZeroBytes };
}

async function* nonZeroSectors(
  source: BlockSource,
  from: number,
  end: number,
): AsyncGenerator<{ readonly at: number; readonly bytes: Uint8Array }> {
  for (let at = from; at < end; at += STEP_BYTES) {
    const step = newIoBytes(Math.min(STEP_BYTES, end - at));
    await source.readBatch([{ at, into: step }]);
    for (let i = 0; i < step.length; i += SECTOR_BYTES) {
      const bytes = step.subarray(i, i + SECTOR_BYTES);
      if (!isZero(bytes)) yield { at: at + i, bytes };
    }
  }
}
