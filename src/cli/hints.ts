import { REPAIR_CLASSES, type HintCode, type QsnapError } from '../index.js';
import { printableText } from '../internal.js';
import { resumeCommand } from './resume-command.js';

/** What the engine's hints are with the commands and options of the command lines. */
const HINTS: Readonly<Record<HintCode, string>> = {
  'save-or-discard-changes': 'save them (--save-as NAME) or give them up (--discard-changes)',
  'list-snapshots': '`qsnap list` shows them all',
  'replace-file': 'choose another name, or replace the file with --force',
  'remove-bitmaps': 'remove them first: `qsnap-img bitmap --remove IMAGE NAME`',
  'make-version-3': '`qsnap-img amend -o compat=1.1` makes it a version 3 image',
  'check-image': '`qsnap check` shows all that is wrong',
  'check-before-edit':
    'an edit could overwrite data that counts as free; `qsnap check` shows all that is wrong',
  'give-up-perhaps-lost':
    '`qsnap rescue --plan IMAGE` shows what can be brought back; if nothing is missing, or it may go, `qsnap repair IMAGE ' +
    'perhaps-lost` frees it',
  'check-unopenable': 'QEMU opens no such image either; `qsnap check` says what mends it',
  'repair-mark': '`qsnap repair` mends it and takes the mark away',
  'allow-shrink': '--shrink allows it',
  'map-disk': '`qsnap map` shows where the other guest data lies',
  'resize-by-qemu': 'use `qemu-img resize`',
  'resize-by-qemu-with-content': 'use `qemu-img resize`, which opens the backing file and decrypts',
  'convert-to-qcow2': 'qemu-img convert -O qcow2 makes a qcow2 image of it',
  'rescue-if-damaged':
    'if this is damage, `qsnap rescue --plan IMAGE` shows what can be brought back',
  'rescue-by-cluster-size': 'if it was an image, --cluster-size SIZE looks for tables of that size',
  'list-rescued': '`qsnap rescue --plan IMAGE` shows what was found',
  'take-guesses': 'what was found is a guess: name it with --take, or take everything with --all',
  'rescue-without-header': '`qsnap rescue IMAGE -o NEW` makes a new image of what is left',
  'recover-disk-alone': '--output writes what its disk has',
  'name-repairs': `write ${REPAIR_CLASSES.join(', ')}, or a finding as \`qsnap check\` prints it`,
  'drop-snapshots': '--drop-snapshot drops them',
  'drop-unread-snapshots':
    '`qsnap rescue` shows what can be brought back; --drop-unread-snapshots gives the others up',
  'drop-bitmaps': '--drop-bitmaps gives all bitmaps up',
  'empty-active-l1':
    '`qsnap rescue` shows what can be brought back; --empty-l1 active makes the disk empty',
  'give-up-unreadable':
    'look for a complete copy, or see what `qsnap rescue` brings back; the class unreadable gives it up',
  'give-up-cut-off':
    'look for a complete copy, or see what `qsnap rescue` brings back; the class unreadable gives up ' +
    'guest data and L2 tables that lie past the end, FILE_CUT_OFF by name a part of guest data, --empty-l1 ' +
    'an L1 table, --drop-bitmaps bitmaps',
  'part-owners':
    '`qsnap check` shows both owners, `qsnap rescue` what can be brought back; METADATA_OVERLAP by ' +
    'name gives the metadata a place of its own',
  'lower-refcounts':
    'nothing can have so many references: `qsnap repair IMAGE leaks` lowers it to those there are',
  'finish-refcounts':
    'the snapshots are off the list, but refcounts may still be too high and flags missing: `qsnap repair IMAGE all ' +
    'perhaps-lost` mends them, where there is room for new tables',
  'leaks-left':
    'clusters may count as used that nothing refers to, which harms nothing: `qsnap repair IMAGE all perhaps-lost` ' +
    'frees them',
  'free-leaks-first': '`qsnap repair IMAGE leaks` frees them',
  'resume-group': 'the same command with --resume, and without names, makes what is left of it',
  'discard-in-resume':
    'give them up (--resume --discard-changes), or copy the image first; what the command before the cut was given ' +
    'does not count',
  'list-group': '`qsnap list --group` shows which names are on which images',
  'report-bug': 'please report it together with the command and `qsnap info --json` of the image',
};

/** What to do about an error, as the command lines say it. */
export function hintOf({ details }: QsnapError): string | undefined {
  const { hintCode, unfinished, file } = details;
  if (hintCode === 'resume-group' && unfinished !== undefined) {
    return `\`${resumeCommand(unfinished)}\` brings all images to the edit`;
  }
  const namesImage = hintCode === 'rescue-without-header' || hintCode === 'rescue-if-damaged';
  if (namesImage && file !== undefined) {
    return HINTS[hintCode].replace('IMAGE', () => printableText(file));
  }
  return hintCode === undefined ? details.hint : HINTS[hintCode];
}
