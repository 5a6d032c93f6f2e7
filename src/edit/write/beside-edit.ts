import type { OpenImage } from '../../image/image.js';
import { editsBegun } from '../../io/edits.js';
import { viewOf } from '../../io/view.js';

/**
 * The image for whoever reads its disks while a plan of it is carried out. Until the switch an edit writes into clusters
 * that are free, so that all else can be read; what is read afterwards may be anything.
 */
export function besideEdit(image: OpenImage): OpenImage {
  const source = viewOf(image.source, new Map());
  // Edits are counted by the device that they go through.
  return { ...image, source, editsBefore: editsBegun(source) };
}
