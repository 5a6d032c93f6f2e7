import { OtherNames } from './other-names.js';

/** What becomes of text that people wrote, or that nobody knows. */
export interface Names {
  readonly areKept: boolean;
  snapshot(name: Uint8Array, index: number): Uint8Array;
  snapshotId(id: Uint8Array, index: number): Uint8Array;
  bitmap(name: Uint8Array, index: number): Uint8Array;
  /** The name of another file, or of something in the header. */
  inHeader(name: Uint8Array): Uint8Array;
  /** Bytes whose meaning is not known. */
  unknown(bytes: Uint8Array): Uint8Array;
  /** How many different names were replaced. */
  replaced(): number;
}

const same = (bytes: Uint8Array): Uint8Array => bytes;

/** All names as they are. */
export const KEPT_NAMES: Names = {
  areKept: true,
  snapshot: same,
  snapshotId: same,
  bitmap: same,
  inHeader: same,
  unknown: same,
  replaced: () => 0,
};

/** Other names for all, of the same length; numbers stay as ids, and what is not known becomes zeros. */
export function replacedNames(): Names {
  const [snapshots, ids, bitmaps, header] = ['s', 'i', 'b', 'f'].map((one) => new OtherNames(one));
  return {
    areKept: false,
    snapshot: (name, index) => snapshots!.of(name, index + 1),
    snapshotId: (id, index) => (isNumber(id) ? id : ids!.of(id, index + 1)),
    bitmap: (name, index) => bitmaps!.of(name, index + 1),
    inHeader: (name) => header!.of(name, header!.count + 1),
    unknown: (bytes) => new Uint8Array(bytes.length),
    replaced: () =>
      [snapshots!, ids!, bitmaps!, header!].reduce((sum, { count }) => sum + count, 0),
  };
}

function isNumber(id: Uint8Array): boolean {
  return id.length <= 20 && id.every((byte) => byte >= 0x30 && byte <= 0x39);
}
