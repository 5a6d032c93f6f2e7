/**
 * The parts of an image that can be dumped, in the order in which they are.
 *
 * ```ts
 * const dumpable = await openForDump(device);
 * for await (const fields of dumpImage(dumpable, { parts: DUMP_PARTS })) console.log(fields.length);
 * ```
 */
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
