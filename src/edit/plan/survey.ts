import { hex } from '../../base/words.js';
import { damaged } from '../../image/damage.js';
import { tableFormat } from '../../image/table-format.js';
import type { Image } from '../../image/image.js';
import { checkL1Table } from '../../refs/l1-tables.js';
import { readSoundRefcountTable } from '../../refs/sound-refcounts.js';
import { claimRegions, metadataRegions, type Region } from '../../refs/regions.js';
import type { TableFormat } from '../../l1l2/entry.js';
import { disksOf, walkL1Tables } from '../../refs/walk.js';
import type { NextState } from './next-state.js';
import { editTallyOf, type EditTally } from './tally.js';

/** The image's tables above the L2 level, and how the edit changes who points at which L2 table. */
export interface Survey {
  readonly image: Image;
  readonly format: TableFormat;
  readonly regions: readonly Region[];
  /** Host offsets of refcount blocks by index; 0 where none is. */
  readonly refcountBlocks: Float64Array;
  readonly activeL1: Uint32Array;
  readonly tally: EditTally;
}

/**
 * Reads the refcount table and all L1 tables and refuses what can't be right in them.
 *
 * @throws QsnapError IMAGE_DAMAGED.
 */
export async function survey(image: Image, next: NextState): Promise<Survey> {
  const format = tableFormat(image);
  const { clusterBytes } = image.geometry;
  const refcountBlocks = await readSoundRefcountTable(image);
  const regions = metadataRegions(image, refcountBlocks);
  const claimed = claimRegions(regions, clusterBytes, format.fileClusters);

  let activeL1: Uint32Array = new Uint32Array(0);
  const pointers = await walkL1Tables(image, disksOf(image), (disk, words, to) => {
    const isActive = disk.snapshot === undefined;
    checkL1Table(isActive ? 'active-l1' : 'inactive-l1', disk.l1, words, format);
    if (isActive) activeL1 = words;
    to.addTable(disk.number, words);
  });
  const tally = editTallyOf(pointers, next);
  for (const offset of tally.offsets) {
    if (!claimed.has(offset / clusterBytes)) continue;
    throw damaged({
      structure: 'L2 table',
      at: offset,
      message: `an L1 entry points at ${hex(offset)}, where other metadata lies`,
    });
  }
  return { image, format, regions, refcountBlocks, activeL1, tally };
}
