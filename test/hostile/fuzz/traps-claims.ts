/** Traps in the header, the refcounts and the snapshot table: claims that overflow, CVEs, cycles. */
import { at, CLUSTER } from './plain-image.js';
import { fill, MAX32, MAX64, made, patched, text, trap, type Trap } from './trap.js';

const SNAPSHOT = at('snapshotTable');

const SOUND: readonly Trap[] = [
  trap('nothing: the image as built', true, []),
  trap('nothing: as built, with a bitmap', true, [], { bitmaps: true }),
  trap('nothing: as built, with LUKS', true, [], { luks: true }),
  trap('nothing: as built, version 2', true, [], { version: 2 }),
];

const HEADER: readonly Trap[] = [
  trap('H2: every unknown incompatible feature', 'UNSUPPORTED_FEATURE', [[72, 8, MAX64 - 31n]]),
  trap('H3: every autoclear and compatible feature', true, [
    [80, 8, MAX64],
    [88, 8, MAX64 - 1n],
  ]),
  trap('H6, CVE-2014-0144: an extension of 2^32 - 1 bytes', 'EXTENSION_INVALID', [
    [112, 4, 0x12345678],
    [116, 4, MAX32],
  ]),
  trap(
    'H6, CVE-2014-0144: an extension to the end of the cluster and 1 byte',
    'EXTENSION_INVALID',
    [
      [112, 4, 0x12345678],
      [116, 4, CLUSTER - 119],
    ],
  ),
  trap('H6: extensions without an end', true, [[CLUSTER - 8, 4, 0]]),
  trap('H6: a backing name at 2^64 - 8', 'HEADER_INVALID', [
    [8, 8, MAX64 - 7n],
    [16, 4, 16],
  ]),
  trap('H6: a backing name of 2^32 - 1 bytes', 'HEADER_INVALID', [
    [8, 8, 200],
    [16, 4, MAX32],
  ]),
  trap('H6: a backing name over the header', true, [
    [8, 8, 8],
    [16, 4, 64],
  ]),
  made('H7, CVE-2024-32498: a backing name that is a file of the system', true, () =>
    patched(
      [
        [8, 8, 512],
        [16, 4, 11],
      ],
      {},
      [[512, text('/etc/shadow')]],
    ),
  ),
  made('H7, CVE-2024-4467: a json: name as data file', true, () =>
    patched(
      [
        [72, 8, 4],
        [112, 4, 0x44415441],
        [116, 4, 59],
      ],
      {},
      [[120, text('json:{"driver":"file","filename":"/etc/passwd\x1b[2J\u202e"}')]],
    ),
  ),
  made('H7, E3: a backing name that a terminal obeys', true, () =>
    patched(
      [
        [8, 8, 512],
        [16, 4, 14],
      ],
      {},
      [[512, text('\x1b[2J\n\r\u202e\x9b\0x')]],
    ),
  ),
  trap('H10: compression type 255', 'HEADER_INVALID', [
    [72, 8, 8],
    [104, 1, 255],
  ]),
  trap('H13, CVE-2014-0222, CVE-2014-0223: version 1', 'QCOW_VERSION_1', [[4, 4, 1]]),
  made('H13, CVE-2026-24708: a raw disk that begins as an image', 'HEADER_INVALID', () =>
    patched([[20, 4, 0]]),
  ),
  trap('H14, CVE-2014-0143: l1_size 2^32 - 1', 'TABLE_INVALID', [[36, 4, MAX32]]),
  trap('H14, CVE-2014-0143: an L1 table at 2^64 - 4096', 'TABLE_INVALID', [[40, 8, MAX64 - 4095n]]),
  trap('H14, CVE-2014-0144: l1_size too small for the disk', 'TABLE_INVALID', [[36, 4, 0]]),
  trap('H14: a disk of 2^64 - 1 bytes', 'TABLE_INVALID', [[24, 8, MAX64]]),
  trap('H14, CVE-2014-0144: cluster_bits 2^32 - 1', 'HEADER_INVALID', [[20, 4, MAX32]]),
  trap('H14: refcount_order 2^32 - 1', 'HEADER_INVALID', [[96, 4, MAX32]]),
  trap('H14: header_length 2^32 - 8', 'HEADER_INVALID', [[100, 4, MAX32 - 7]]),
  trap('A14: a disk of no bytes', true, [[24, 8, 0]]),
  trap('H8: an external data file, and snapshots', true, [[72, 8, 4]]),
];

const REFCOUNTS: readonly Trap[] = [
  trap('R11, CVE-2014-0144: a refcount table of 2^32 - 1 clusters', 'TABLE_INVALID', [
    [56, 4, MAX32],
  ]),
  trap('R11: a refcount table of no clusters', 'TABLE_INVALID', [[56, 4, 0]]),
  trap('R11: a refcount table at 2^63', 'TABLE_INVALID', [[48, 8, 1n << 63n]]),
  trap('R11: the refcount table over the header', 'TABLE_INVALID', [[48, 8, 0]]),
  trap('R11: a refcount block that is its own table', true, [
    [at('refcountTable'), 8, at('refcountTable')],
  ]),
  trap('R11: a refcount block at 2^56 - 4096', true, [
    [at('refcountTable'), 8, (1n << 56n) - 4096n],
  ]),
  made('R11: a table whose entries all are one block', true, () =>
    patched(fill(at('refcountTable'), BigInt(at('refcountBlock')))),
  ),
  made('R11: a cycle of the refcount table and its block', true, () =>
    patched([
      ...fill(at('refcountTable'), BigInt(at('refcountBlock'))),
      ...fill(at('refcountBlock'), BigInt(at('refcountTable'))),
    ]),
  ),
  made('R6, CVE-2014-0147: a refcount block that counts nothing, itself neither', true, () =>
    patched(fill(at('refcountBlock'), 0n)),
  ),
  made('R1: every refcount at its highest', true, () => patched(fill(at('refcountBlock'), MAX64))),
];

const SNAPSHOTS: readonly Trap[] = [
  trap('S8, CVE-2014-0144: 65,537 snapshots', 'SNAPSHOT_TABLE_INVALID', [[60, 4, 65_537]]),
  trap('S8, CVE-2014-0144: 2^32 - 1 snapshots', 'SNAPSHOT_TABLE_INVALID', [[60, 4, MAX32]]),
  trap('S8: a snapshot table at 2^64 - 4096', 'TABLE_INVALID', [[64, 8, MAX64 - 4095n]]),
  trap('S8: the snapshot table over the header', 'TABLE_INVALID', [[64, 8, 0]]),
  trap('S8, CVE-2014-0145: extra data of 2^32 - 1 bytes', 'SNAPSHOT_TABLE_INVALID', [
    [SNAPSHOT + 36, 4, MAX32],
  ]),
  trap('S8, S9: extra data of 1,025 bytes', 'SNAPSHOT_TABLE_INVALID', [[SNAPSHOT + 36, 4, 1025]]),
  trap('S1: extra data of 1,024 bytes', true, [[SNAPSHOT + 36, 4, 1024]]),
  trap('S8: an id and a name of 65,535 bytes', 'IMAGE_TRUNCATED', [[SNAPSHOT + 12, 4, MAX32]]),
  made(
    'S8: 4,096 snapshots in a hole',
    true,
    () =>
      patched([
        [60, 4, 4096],
        [64, 8, 2 ** 24],
      ]),
    2 ** 30,
  ),
  trap('S10, CVE-2014-0143: a snapshot L1 of 2^32 - 1 entries', 'SNAPSHOT_TABLE_INVALID', [
    [SNAPSHOT + 8, 4, MAX32],
  ]),
  trap('S10: a snapshot L1 at 2^64 - 4096', 'SNAPSHOT_TABLE_INVALID', [
    [SNAPSHOT, 8, MAX64 - 4095n],
  ]),
  trap('S10: a snapshot L1 off the clusters', 'SNAPSHOT_TABLE_INVALID', [
    [SNAPSHOT, 8, at('snapshotL1', 8)],
  ]),
  trap('S10: a snapshot L1 over the header', true, [[SNAPSHOT, 8, 0]]),
  trap('S10: a snapshot L1 over the refcount block', true, [[SNAPSHOT, 8, at('refcountBlock')]]),
  trap('S10: a snapshot L1 that is the active one', true, [[SNAPSHOT, 8, at('activeL1')]]),
  trap('S10: a snapshot L1 past the end of the file', true, [[SNAPSHOT, 8, at('end')]]),
  trap('A1, CVE-2014-0145: a snapshot L1 of no entries', true, [[SNAPSHOT + 8, 4, 0]]),
  trap('A1, CVE-2014-0145: a snapshot L1 longer than the active one', true, [
    [SNAPSHOT + 8, 4, 512],
  ]),
  trap('A2: a snapshot of 2^63 bytes', 'LIMIT_EXCEEDED', [[SNAPSHOT + 48, 8, 1n << 63n]]),
  trap('A2: a snapshot of 2^53 - 512 bytes', true, [[SNAPSHOT + 48, 8, (1n << 53n) - 512n]]),
  trap('S3: VM state of 2^64 - 1 bytes', 'LIMIT_EXCEEDED', [[SNAPSHOT + 40, 8, MAX64]]),
  trap('S13: a date of 2^32 - 1 seconds and as many nanoseconds', true, [
    [SNAPSHOT + 16, 8, MAX64],
    [SNAPSHOT + 24, 8, MAX64],
  ]),
  made('S7, E3: an id and a name that a terminal obeys', true, () =>
    patched(
      [
        [SNAPSHOT + 12, 2, 4],
        [SNAPSHOT + 14, 2, 24],
      ],
      {},
      [
        [SNAPSHOT + 64, text('\x1b[2J\n\r\u202e\u2028\x9b\0')],
        [SNAPSHOT + 80, new Uint8Array([0xff, 0xc0, 0x80, 0x0a, 0x1b, 0x63])],
      ],
    ),
  ),
];

export const CLAIM_TRAPS: readonly Trap[] = [...SOUND, ...HEADER, ...REFCOUNTS, ...SNAPSHOTS];
