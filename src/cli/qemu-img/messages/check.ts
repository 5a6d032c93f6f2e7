/** Texts of `check`: QEMU's words for what it finds. */
import type { Finding, FindingCode } from '../../../index.js';
import type { Behaviour } from '../version/behaviour.js';
import { OPEN_REASONS } from '../messages.js';
import { byteStringOfText, bytesOfPrintable } from '../grammar/bytes.js';

/** `check`. */
export const CHECK = {
  repairValue: (value: string, { namedOptions, version }: Behaviour) => {
    if (!namedOptions) return `Unknown option value for -r (expecting 'leaks' or 'all'): ${value}`;
    const comma = version === 'debian-10.0' ? '' : ',';
    return `--repair (-r) expects 'leaks' or 'all'${comma} not '${value}'`;
  },
  unsupportedFormat: 'This image format does not support checks',
  sourceCache: (mode: string) => `Invalid source cache option: ${mode}`,
  failed: (error: string) => `Check failed: ${error}`,
  failedAtAll: 'Check failed',
  repaired: (leaks: number, corruptions: number) => [
    'The following inconsistencies were found and repaired:',
    '',
    `    ${leaks} leaked clusters`,
    `    ${corruptions} corruptions`,
    '',
    'Double checking the fixed image now...',
  ],
  /** A finding that was repaired. */
  repairing: (text: string) => text.replace(/^(?:ERROR|Leaked):?/, 'Repairing'),
  rebuilding: 'Rebuilding refcount structure',
  noErrors: 'No errors were found on the image.',
  corruptions: (count: number) => [
    '',
    `${count} errors were found on the image.`,
    'Data may be corrupted, or further writes to the image may corrupt it.',
  ],
  leaks: (count: number) => [
    '',
    `${count} leaked clusters were found on the image.`,
    'This means waste of disk space, but no harm to data.',
  ],
  checkErrors: (count: number) => ['', `${count} internal errors have occurred during the check.`],
} as const;

type Facts = Finding['facts'];

/** Hexadecimal digits of a fact, without `0x`. */
const digits = (facts: Facts, name: string): string => String(facts[name]).replace(/^0x/, '');

/** QEMU forgets the COPIED flag of a compressed entry once it has complained of it. */
const uncopied = (facts: Facts): string =>
  `0x${(BigInt(String(facts['entry'])) & ~(1n << 63n)).toString(16)}`;

const pastTheEnd = ({ facts, found }: Finding): string =>
  'ERROR: counting reference for region exceeding the end of the file by one cluster or more: ' +
  `offset ${facts['offset'] ?? found} size 0x${Number(facts['size']).toString(16)}`;
const l1Copied = ({ facts, found }: Finding): string =>
  `ERROR OFLAG_COPIED L2 cluster: l1_index=${facts['index']} l1_entry=${digits(facts, 'entry')} ` +
  `refcount=${found}`;
const l2Copied = ({ facts, found }: Finding): string =>
  `ERROR OFLAG_COPIED data cluster: l2_entry=${digits(facts, 'entry')} refcount=${found}`;
const miscounted = ({ cluster, found, expected }: Finding): string =>
  `ERROR cluster ${cluster} refcount=${found} reference=${expected}`;
const leaked = ({ cluster, found, expected }: Finding): string =>
  `Leaked cluster ${cluster} refcount=${found} reference=${expected}`;

/** A cluster that an entry with the zero flag keeps in reserve is called so. */
function misaligned({ facts }: Finding): string {
  const kind = facts['zero'] === true ? 'Preallocated' : 'Data';
  return (
    `ERROR offset=${digits(facts, 'offset')}: ${kind} cluster is not ` +
    'properly aligned; L2 entry corrupted.'
  );
}

/** One line for every cluster, and one that the driver prints when it first fails to read. */
function unreadable({ facts, cluster }: Finding, isFirst: boolean): string {
  const lines = isFirst
    ? [
        `qcow2: Image is corrupt: Refblock offset ${facts['offset']} unaligned (reftable index: ` +
          `${facts['index']}); further non-fatal corruption events will be suppressed`,
      ]
    : [];
  for (let i = 0; i < Number(facts['clusters']); i++) {
    lines.push(`Can't get refcount for cluster ${cluster! + i}: Input/output error`);
  }
  return lines.join('\n');
}

/** An id or a name as C prints it: its bytes before a zero byte. */
type Naming = (fact: Facts[string] | undefined) => string;

const snapshot = ({ facts }: Finding, named: Naming): string =>
  `ERROR snapshot ${named(facts['id'])} (${named(facts['name'])})`;

const LINES: Partial<Record<FindingCode, (finding: Finding, named: Naming) => string>> = {
  REFCOUNT_ZERO: miscounted,
  REFCOUNT_TOO_LOW: miscounted,
  REFCOUNT_TOO_HIGH: leaked,
  CLUSTER_LEAKED: leaked,
  CLUSTER_PERHAPS_LOST: leaked,
  REFERENCES_PERHAPS_LOST: leaked,
  REFCOUNT_BLOCK_MISALIGNED: ({ facts }) =>
    `ERROR refcount block ${facts['index']} is not cluster aligned; refcount table entry corrupted`,
  REFCOUNT_BLOCK_PAST_END: ({ facts }) => `ERROR refcount block ${facts['index']} is outside image`,
  REFCOUNT_BLOCK_SHARED: ({ facts, found }) =>
    `ERROR refcount block ${facts['index']} refcount=${found}`,
  METADATA_PAST_END: pastTheEnd,
  L1_ENTRY_PAST_END: pastTheEnd,
  L2_ENTRY_PAST_END: pastTheEnd,
  L1_ENTRY_RESERVED_BITS: ({ facts }) =>
    `ERROR found L1 entry with reserved bits set: ${digits(facts, 'entry')}`,
  L2_ENTRY_RESERVED_BITS: ({ facts }) =>
    `ERROR found l2 entry with reserved bits set: ${digits(facts, 'entry')}`,
  L1_ENTRY_MISALIGNED: ({ facts }) =>
    `ERROR l2_offset=${digits(facts, 'offset')}: Table is not cluster aligned; L1 entry corrupted`,
  L2_ENTRY_MISALIGNED: misaligned,
  L2_COMPRESSED_COPIED: ({ facts }) =>
    `ERROR: coffset=${facts['offset']}: copied flag must never be set for compressed clusters`,
  REFCOUNT_OVERFLOW: ({ facts }) =>
    `ERROR: overflow cluster offset=${facts['offset']}\n` +
    'Use qemu-img amend to increase the refcount entry width or qemu-img convert to create a ' +
    'clean copy if the image cannot be opened for writing',
  REFCOUNT_TABLE_ENTRY_RESERVED_BITS: ({ facts }) =>
    `ERROR refcount table entry ${facts['index']} has reserved bits set`,
  L2_COMPRESSED_IN_DATA_FILE_IMAGE: ({ facts }) =>
    `ERROR compressed cluster ${facts['index']} with data file, entry=${uncopied(facts)}`,
  L2_COMPRESSED_WITH_SUBCLUSTERS: ({ facts }) =>
    `ERROR compressed cluster ${facts['index']} with non-zero subcluster allocation bitmap, ` +
    `entry=${uncopied(facts)}`,
  L2_SUBCLUSTERS_CONTRADICT: ({ facts }) =>
    `ERROR offset=${digits(facts, 'offset')}: Allocated cluster has corrupted subcluster ` +
    'allocation bitmap',
  L2_SUBCLUSTERS_WITHOUT_CLUSTER: () =>
    'ERROR: Unallocated cluster has non-zero subcluster allocation map',
  SNAPSHOT_L1_UNREADABLE: pastTheEnd,
  SNAPSHOT_L1_MISALIGNED: (finding, named) =>
    `${snapshot(finding, named)} l1_offset=${finding.found}: L1 table is not cluster aligned; snapshot ` +
    'table entry corrupted',
  SNAPSHOT_L1_TOO_LARGE: (finding, named) =>
    `${snapshot(finding, named)} l1_size=0x${Number(finding.found).toString(16)}: L1 table is too ` +
    'large; snapshot table entry corrupted',
  L1_COPIED_SET: l1Copied,
  L1_COPIED_MISSING: l1Copied,
  L2_COPIED_SET: l2Copied,
  L2_COPIED_MISSING: l2Copied,
  SNAPSHOT_EXTRA_MISSING: ({ facts }) =>
    `ERROR snapshot table entry ${facts['index']} is incomplete`,
};

/**
 * What QEMU prints of a finding, or the engine's sentence where its words are not known: a byte string.
 *
 * @param tell makes bytes from the image fit for where messages go.
 */
export function findingText(
  finding: Finding,
  isFirstUnreadable: boolean,
  tell: (bytes: string) => string,
): string {
  if (finding.code === 'REFCOUNT_UNREADABLE') return unreadable(finding, isFirstUnreadable);
  const named: Naming = (fact) => tell(bytesOfPrintable(String(fact)).replace(/\0.*$/s, ''));
  return LINES[finding.code]?.(finding, named) ?? byteStringOfText(`ERROR ${finding.message}`);
}

/** Where QEMU reads no further: what it says of it, instead of all findings. */
export function failureText(findings: readonly Finding[]): string | undefined {
  for (const { code, facts, found } of findings) {
    if (code === 'SNAPSHOT_EXTRA_TOO_LONG') {
      return (
        'ERROR failed to read the snapshot table: Too much extra metadata in snapshot table ' +
        `entry ${facts['index']}\n` +
        'You can force-remove this extra metadata with qemu-img check -r all'
      );
    }
    if (code !== 'SNAPSHOT_TABLE_UNREADABLE') continue;
    const claimed = Number(facts['claimed']);
    const removal = (overhanging: number): string =>
      `You can force-remove all ${overhanging} overhanging snapshots with qemu-img check -r all`;
    if (found !== undefined) {
      const reading = 'ERROR failed to read the snapshot table: Snapshot table is too big';
      return `${reading}\n${removal(claimed - Number(facts['index']))}`;
    }
    if (claimed <= SNAPSHOTS_MAX) return 'ERROR snapshot table offset invalid';
    return `ERROR snapshot table too large\n${removal(claimed - SNAPSHOTS_MAX)}`;
  }
  return undefined;
}

/** Why QEMU does not open an image that a check could read. */
export function openFailureText(
  findings: readonly Finding[],
  error: string,
  tell: (bytes: string) => string,
): string {
  for (const { code, facts } of findings) {
    const name = tell(bytesOfPrintable(String(facts['name'])));
    if (code === 'BITMAP_UNREADABLE') return OPEN_REASONS.brokenBitmap(name);
    if (code === 'BITMAP_TABLE_TOO_LONG') return OPEN_REASONS.unreadableBitmap(name, error);
    if (code !== 'BITMAP_TABLE_ENTRY_INVALID') continue;
    return `Could not read bitmap_table table from image for bitmap '${name}': ${error}`;
  }
  return "'data-file' is required for this image";
}

/** QEMU: block/qcow2.h, QCOW_MAX_SNAPSHOTS. */
const SNAPSHOTS_MAX = 65_536;
