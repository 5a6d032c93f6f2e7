import { printableText } from '../../../internal.js';
import { shellWord } from '../../resume-command.js';
import { printWarning, type Context } from '../context.js';
import type { DoneEdit } from './done-edit.js';
import { libvirtPlaces } from './places.js';

/**
 * Says what libvirt knows that is no longer so, and how to mend it: it keeps a list of snapshots of its own, and never
 * reads that of an image. The edit is done, and nothing here makes it fail.
 */
export async function tellOfLibvirt(edits: readonly DoneEdit[], context: Context): Promise<void> {
  if (context.quiet) return;
  const places = libvirtPlaces(context.io.env);
  if (places.every(({ domains }) => domains.length === 0)) return;
  try {
    const { warnOfLibvirt } = await import('./warn-of-libvirt.js');
    warnOfLibvirt(places, edits, {
      warn: (sentence) => {
        printWarning(context, sentence);
      },
      printable: printableText,
      shellWord,
    });
  } catch {
    // Files of another program may hold anything.
  }
}
