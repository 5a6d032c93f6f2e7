import type { ErrorDetails, HintCode } from '../errors.js';

/** Hints that have a name, in words that hold for every program. */
const HINTS: Readonly<Record<HintCode, string>> = {
  'save-or-discard-changes':
    'save them as a snapshot in the same edit, or allow them to be discarded',
  'list-snapshots': 'the image lists the snapshots that it has',
  'replace-file': 'choose another name, or allow the file to be replaced',
  'remove-bitmaps': 'remove the bitmaps first, by the tools of QEMU',
  'make-version-3': 'make it a version 3 image first, by the tools of QEMU',
  'check-image': 'a check shows all that is wrong',
  'check-before-edit':
    'an edit could overwrite data that counts as free; a check shows all that is wrong',
  'check-unopenable': 'QEMU opens no such image either; a check says what mends it',
  'repair-mark': 'a repair mends it and takes the mark away',
  'map-disk': 'the extents of the disk tell where the other guest data lies',
};

/** A hint by its name, and in words. */
export function hinted(hintCode: HintCode): Required<Pick<ErrorDetails, 'hint' | 'hintCode'>> {
  return { hint: HINTS[hintCode], hintCode };
}
