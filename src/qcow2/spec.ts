import type { Layout } from '../base/struct.js';

/** The specification's tables as constants. Offsets are written as the specification prints them. */

/** "QFI\xfb". Spec: Header. */
export const MAGIC = 0x514649fb;

/** Spec: Header, the part that version 2 and 3 share. */
export const HEADER_V2 = {
  magic: { at: 0, type: 'u32' },
  version: { at: 4, type: 'u32' },
  backingNameAt: { at: 8, type: 'u64' },
  backingNameBytes: { at: 16, type: 'u32' },
  clusterBits: { at: 20, type: 'u32' },
  sizeBytes: { at: 24, type: 'u64' },
  cryptMethod: { at: 32, type: 'u32' },
  l1Entries: { at: 36, type: 'u32' },
  l1At: { at: 40, type: 'u64' },
  refcountTableAt: { at: 48, type: 'u64' },
  refcountTableClusters: { at: 56, type: 'u32' },
  snapshotCount: { at: 60, type: 'u32' },
  snapshotTableAt: { at: 64, type: 'u64' },
} as const satisfies Layout;

/** Spec: Header, the fields that version 3 adds. */
export const HEADER_V3 = {
  incompatible: { at: 72, type: 'u64' },
  compatible: { at: 80, type: 'u64' },
  autoclear: { at: 88, type: 'u64' },
  refcountOrder: { at: 96, type: 'u32' },
  headerBytes: { at: 100, type: 'u32' },
} as const satisfies Layout;

export const HEADER_V2_BYTES = 72;
export const HEADER_V3_BYTES = 104;
/** QEMU: with the compression type, and padding to a multiple of 8. */
export const HEADER_V3_BYTES_WRITTEN = 112;
/** Spec: Additional fields. The byte is present if the header is longer than 104 bytes. */
export const COMPRESSION_TYPE_AT = 104;

/**
 * The bytes of the header that an edit may write: size, active L1, refcount table, snapshot table
 * and, in version 3, the feature words. They lie in the first 512-byte sector. Ours: docs/crash-safety.md.
 */
export const SWITCH_FROM = 24;
export const SWITCH_END_V2 = 72;
export const SWITCH_END_V3 = 96;

/** Bit numbers of the feature words. Spec: Header. */
export const INCOMPATIBLE = {
  dirty: 0,
  corrupt: 1,
  'external data file': 2,
  'compression type': 3,
  'extended L2 entries': 4,
} as const;
export const COMPATIBLE = { 'lazy refcounts': 0 } as const;
export const AUTOCLEAR = { bitmaps: 0, 'raw external data': 1 } as const;
/** The autoclear bits that a writer who knows this specification may leave set. */
export const KNOWN_AUTOCLEAR = 0b11n;

/** Spec: Header extensions. */
export const EXTENSION_TYPE = {
  end: 0x00000000,
  backingFormat: 0xe2792aca,
  featureNames: 0x6803f857,
  bitmaps: 0x23852875,
  encryptionHeader: 0x0537be77,
  dataFileName: 0x44415441,
} as const;

/** Spec: Snapshots, fixed part of a snapshot table entry. */
export const SNAPSHOT_ENTRY = {
  l1At: { at: 0, type: 'u64' },
  l1Entries: { at: 8, type: 'u32' },
  idBytes: { at: 12, type: 'u16' },
  nameBytes: { at: 14, type: 'u16' },
  dateSeconds: { at: 16, type: 'u32' },
  dateNanoseconds: { at: 20, type: 'u32' },
  vmClockNanoseconds: { at: 24, type: 'u64' },
  vmStateBytes32: { at: 32, type: 'u32' },
  extraDataBytes: { at: 36, type: 'u32' },
} as const satisfies Layout;
export const SNAPSHOT_ENTRY_BYTES = 40;

/** Spec: Snapshots, extra data; positions relative to its start (byte 40 of the entry). */
export const SNAPSHOT_EXTRA = {
  vmStateBytes: { at: 0, type: 'u64' },
  diskSizeBytes: { at: 8, type: 'u64' },
  icount: { at: 16, type: 'u64' },
} as const satisfies Layout;
/** Extra data that version 3 requires: VM state size and disk size. */
export const SNAPSHOT_EXTRA_BYTES_V3 = 16;
export const SNAPSHOT_EXTRA_BYTES = 24;
/** "Set to -1 if icount was disabled". Spec: Snapshots. */
export const ICOUNT_DISABLED = 0xffff_ffff_ffff_ffffn;

/** Spec: Bitmaps extension. */
export const BITMAPS_EXTENSION = {
  bitmapCount: { at: 0, type: 'u32' },
  reserved: { at: 4, type: 'u32' },
  directoryBytes: { at: 8, type: 'u64' },
  directoryAt: { at: 16, type: 'u64' },
} as const satisfies Layout;
export const BITMAPS_EXTENSION_BYTES = 24;

/** Spec: Bitmap directory. */
export const BITMAP_ENTRY = {
  tableAt: { at: 0, type: 'u64' },
  tableEntries: { at: 8, type: 'u32' },
  flags: { at: 12, type: 'u32' },
  type: { at: 16, type: 'u8' },
  granularityBits: { at: 17, type: 'u8' },
  nameBytes: { at: 18, type: 'u16' },
  extraDataBytes: { at: 20, type: 'u32' },
} as const satisfies Layout;
export const BITMAP_ENTRY_BYTES = 24;

/** Spec: Full disk encryption header pointer. */
export const ENCRYPTION_POINTER = {
  at: { at: 0, type: 'u64' },
  bytes: { at: 8, type: 'u64' },
} as const satisfies Layout;
export const ENCRYPTION_POINTER_BYTES = 16;

/** Refcounts of version 2 are 16 bits wide. Spec: Header. */
export const REFCOUNT_ORDER_V2 = 4;
