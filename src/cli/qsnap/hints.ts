import type { HintCode, QsnapError } from '../../index.js';

/** What the engine's hints are with the commands and options of this program. */
const HINTS: Readonly<Record<HintCode, string>> = {
  'save-or-discard-changes': 'save them (--save-as NAME) or give them up (--discard-changes)',
  'list-snapshots': '`qsnap list` shows them all',
  'replace-file': 'choose another name, or replace the file with --force',
  'remove-bitmaps': 'remove them first: `qemu-img bitmap --remove IMAGE NAME`',
  'make-version-3': '`qemu-img amend -o compat=1.1` makes it a version 3 image',
  'check-image': '`qsnap check` shows all that is wrong',
  'check-before-edit':
    'an edit could overwrite data that counts as free; `qsnap check` shows all that is wrong',
  'check-unopenable': 'QEMU opens no such image either; `qsnap check` says what mends it',
  'repair-mark': '`qsnap repair` mends it and takes the mark away',
  'map-disk': '`qsnap map` shows where the other guest data lies',
};

/** What to do about an error, as this program says it. */
export function hintOf({ details }: QsnapError): string | undefined {
  return details.hintCode === undefined ? details.hint : HINTS[details.hintCode];
}
