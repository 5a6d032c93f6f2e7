import type {
  ApplyingOptions,
  DeletingOptions,
  DiskDiffOptions,
  DiskExtentOptions,
  DiskOptions,
  EditOptions,
  NewSnapshotOptions,
  RepairingOptions,
  ResizingOptions,
  StreamOptions,
} from './options.js';

/** The names of all options of a kind: one that is missing here does not compile. */
type Names<Options> = Readonly<Record<keyof Options, true>>;

const PROGRESS = { signal: true, onProgress: true } as const;
export const EDIT: Names<EditOptions> = { ...PROGRESS, verify: true };
export const CREATE: Names<NewSnapshotOptions & EditOptions> = { ...EDIT, date: true, id: true };
export const APPLY: Names<ApplyingOptions & EditOptions> = {
  ...EDIT,
  discardChanges: true,
  saveAs: true,
};
export const DELETE: Names<DeletingOptions & EditOptions> = { ...EDIT, inPlace: true };
export const RESIZE: Names<ResizingOptions & EditOptions> = {
  ...EDIT,
  shrink: true,
  preallocation: true,
};
export const REPAIR: Names<RepairingOptions & EditOptions> = {
  ...EDIT,
  dropSnapshots: true,
  dropUnreadSnapshots: true,
  emptyL1s: true,
  dropBitmaps: true,
  punch: true,
};
export const DISK: Names<DiskOptions> = { passphrase: true, backing: true };
export const DIFF: Names<DiskDiffOptions> = { ...PROGRESS, ...DISK, content: true };
const RANGE = { at: true, length: true } as const;
export const STREAM: Names<StreamOptions> = { ...PROGRESS, ...RANGE, chunkBytes: true };
export const EXTENTS: Names<DiskExtentOptions> = { ...RANGE, signal: true, layers: true };

/**
 * Refuses what is no option. A program without types may have mistyped it, and would get another edit than it means.
 *
 * @throws TypeError.
 */
export function refuseUnknown(options: unknown, known: Readonly<Record<string, true>>): void {
  const listed = Object.keys(known).join(', ');
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`options are an object with ${listed}, and this is ${typeof options}`);
  }
  for (const name of Object.keys(options)) {
    if (Object.hasOwn(known, name)) continue;
    throw new TypeError(`there is no option "${name}" here; there are ${listed}`);
  }
}
