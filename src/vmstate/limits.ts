import { MiB } from '../base/units.js';

/** Every bound on what a VM state may claim. All are qsnap's own: QEMU trusts what it loads. */
export const VMSTATE_LIMITS = {
  /** RAM blocks; a machine with many devices has some dozens. */
  blocksMax: 4096,
  /** Bytes of RAM: 64 TiB. */
  ramBytesMax: 2 ** 46,
  /** Sections; a machine with 5 GiB has some 300 of RAM. */
  sectionsMax: 262_144,
  /** Bytes of the description; seen are 45 to 100 kB. */
  descriptionBytesMax: 16 * MiB,
  /** Lists and objects of the description inside each other. */
  descriptionDepthMax: 64,
  /** Devices, and fields of one device, that the description tells of. */
  devicesMax: 16_384,
  fieldsMax: 65_536,
  /** What looks like the beginning of a description and is read as one. */
  descriptionTriesMax: 16,
  /** Bytes between the end of RAM and the description. */
  deviceBytesMax: 256 * MiB,
  /** Bytes of a device whose fields are read: processors have 20 kB. */
  readDeviceBytesMax: MiB,
  /** Processors whose registers are read: QEMU has no machine with more. */
  cpusMax: 4096,
  /** Bytes of a screen in video memory: 16 million pixels. */
  screenBytesMax: 64 * MiB,
  /** A compressed page is no longer than zlib's bound of a page, by far. */
  packedPageBytesMax: 16_384,
  /** Capabilities that the stream says it was saved with. */
  capabilitiesMax: 64,
  /**
   * Bytes that are read for each byte of the file: deflate packs no tighter. Only clusters that several places share
   * make more of it, which no program writes.
   */
  bytesForEachOfFile: 1032,
} as const;

/** RAM is saved by pages of so many bytes, on x86 and wherever the stream says nothing else. */
export const PAGE_BYTES = 4096;
