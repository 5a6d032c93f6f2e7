/** QEMU's wording of `map`, and about table entries that a read stumbles over. Byte strings. */
import type { QsnapError } from '../../../index.js';

export const MAP = {
  header: 'Offset          Length          Mapped to       File',
  notPlain: 'File contains external, encrypted or compressed clusters.',
  failed: 'Could not read file metadata: Input/output error',
} as const;

const OFFSET_MASK = 0x00ff_ffff_ffff_fe00n;

/** How a message of the engine ends, and what QEMU says then. */
const CORRUPTIONS: readonly (readonly [
  ending: RegExp,
  text: (offset: string, table: string, index: string) => string,
])[] = [
  [
    /cluster boundary$/,
    (offset, table, index) =>
      `Cluster allocation offset ${offset} unaligned (L2 offset: ${table}, L2 index: ${index})`,
  ],
  [
    /reserved bits set$/,
    (_, table, index) =>
      `Zero cluster entry found in pre-v3 image (L2 offset: ${table}, L2 index: ${index})`,
  ],
  [
    /data file$/,
    (_, table, index) =>
      'Compressed cluster entry found in image with external data file ' +
      `(L2 offset: ${table}, L2 index: ${index})`,
  ],
  [
    /subclusters|no cluster$/,
    (_, table, index) => `Invalid cluster entry found  (L2 offset: ${table}, L2 index: ${index})`,
  ],
];

/** What QEMU prints of a table entry that can't be right; undefined where it has no words. */
export function corruptionLine({ message, details }: QsnapError): string | undefined {
  const { structure, tableAt, entry, actual } = details;
  if (tableAt === undefined || entry === undefined || actual === undefined) return undefined;
  const offset = `0x${(BigInt(actual.slice(0, 18)) & OFFSET_MASK).toString(16)}`;
  const index = entry === 0 ? '0' : `0x${entry.toString(16)}`;
  const text =
    structure === 'L2 table'
      ? CORRUPTIONS.find(([ending]) => ending.test(message))?.[1]
      : () => `L2 table offset ${offset} unaligned (L1 index: ${index})`;
  if (text === undefined) return undefined;
  return (
    `qcow2: Image is corrupt: ${text(offset, `0x${tableAt.toString(16)}`, index)}; ` +
    'further non-fatal corruption events will be suppressed\n'
  );
}
