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
  'give-up-perhaps-lost':
    'a rescue shows what can be brought back; if nothing is missing, or it may go, a repair of class perhaps-lost frees it',
  'check-unopenable': 'QEMU opens no such image either; a check says what mends it',
  'repair-mark': 'a repair mends it and takes the mark away',
  'allow-shrink': 'allow it if that is meant',
  'map-disk': 'the extents of the disk tell where the other guest data lies',
  'resize-by-qemu': 'resize it by the tools of QEMU',
  'resize-by-qemu-with-content':
    'resize it by the tools of QEMU, which open the backing file and decrypt',
  'convert-to-qcow2': 'the tools of QEMU make a qcow2 image of it',
  'rescue-if-damaged': 'if this is damage, a rescue shows what can be brought back',
  'rescue-by-cluster-size':
    'if it was an image, a rescue that is given its cluster size looks for tables of that size',
  'list-rescued': 'the plan of the rescue lists what was found',
  'take-guesses': 'what was found is a guess: choose it by its id, or choose everything',
  'rescue-without-header': 'a rescue makes a new image of what is left',
  'recover-disk-alone': 'its disk can be read all the same',
  'name-repairs': 'name a class of repairs, or a finding by its code, or by its code and offset',
  'drop-snapshots': 'a repair drops them if it is told to',
  'drop-unread-snapshots':
    'a rescue shows what can be brought back; a repair that drops unread snapshots gives the others up',
  'drop-bitmaps': 'a repair that drops bitmaps gives all of them up',
  'empty-active-l1':
    'a rescue shows what can be brought back; a repair that empties the active L1 makes the disk empty',
  'give-up-unreadable':
    'look for a complete copy, or see what a rescue brings back; the class unreadable gives it up',
  'give-up-cut-off':
    'look for a complete copy, or see what a rescue brings back; the class unreadable gives up guest data and L2 ' +
    'tables that lie past the end, FILE_CUT_OFF by name a part of guest data; a repair empties L1 tables and ' +
    'drops bitmaps if it is told to',
  'part-owners':
    'a check shows both owners, a rescue what can be brought back; METADATA_OVERLAP by name gives the metadata a ' +
    'place of its own',
  'lower-refcounts':
    'nothing can have so many references: a repair of class leaks lowers it to those there are',
  'finish-refcounts':
    'the snapshots are off the list, but refcounts may still be too high and flags missing: a repair of the classes ' +
    'all and perhaps-lost mends them, where there is room for new tables',
  'leaks-left':
    'clusters may count as used that nothing refers to, which harms nothing: a repair of the classes all and ' +
    'perhaps-lost frees them',
  'free-leaks-first': 'a repair of class leaks frees them',
  'resume-group': 'resume the edit of the group: that makes what is left of it',
  'discard-in-resume':
    'allow the changes to be discarded in the resumed edit, or copy the image first; what was allowed before the cut ' +
    'does not count',
  'list-group': 'the list of the group shows which names are on which images',
  'report-bug':
    'please report it together with what was called, and with what the image says of itself',
};

/** A hint by its name, and in words. */
export function hinted(hintCode: HintCode): Required<Pick<ErrorDetails, 'hint' | 'hintCode'>> {
  return { hint: HINTS[hintCode], hintCode };
}
