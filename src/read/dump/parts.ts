/** The parts of an image that can be dumped, in the order in which they are. */
export const DUMP_PARTS = [
  'header',
  'extensions',
  'features',
  'snapshots',
  'l1',
  'l2',
  'refcounts',
  'bitmaps',
  'encryption',
] as const;

/** A part of an image that can be dumped. */
export type DumpPart = (typeof DUMP_PARTS)[number];
