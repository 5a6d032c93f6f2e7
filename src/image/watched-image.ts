import type { BlockSource } from '../io/device.js';
import { editsBegun } from '../io/edits.js';
import { watched } from '../io/watched.js';
import type { OpenImage } from './image.js';

/** The image, whose tables tell what share of them is read: all L2 tables once, and the refcount blocks. */
export function watchedImage<Source extends BlockSource>(
  image: OpenImage<Source>,
  onShare: (share: number) => void,
): OpenImage<Source> {
  const { source, fileSizeBytes, geometry } = image;
  const { clusterBytes, refcountBlockEntries } = geometry;
  const blocks = Math.ceil(fileSizeBytes / clusterBytes / refcountBlockEntries);
  const seen = watched(source, blocks * clusterBytes, onShare);
  // Through it no edit was begun yet. The plan is bound to the image itself.
  return { ...image, source: seen, editsBefore: editsBegun(seen) };
}
