import { executeUndo, isQsnapError } from '../../../index.js';
import { printableText } from '../../../internal.js';
import { newSha256, openFile, openFileForEdit } from '../../../node/index.js';
import { EXIT_CODES, type ExitCode } from '../../exit-codes.js';
import { printJson, printLines, type Context } from '../context.js';
import { warnOfLock } from '../editing.js';
import { errorJson, reportFailure } from '../report.js';

/** Flags of `undo`. */
export interface UndoFlags {
  readonly verify?: boolean;
}

/** `qsnap undo FILE IMAGE` */
export async function undo(
  file: string,
  path: string,
  { verify }: UndoFlags,
  context: Context,
): Promise<ExitCode> {
  try {
    const kept = await openFile(file);
    try {
      const device = await openFileForEdit(path);
      try {
        warnOfLock(path, device.lock.guarantee, context);
        const { switched, restoredBytes, cutBytes } = await context.io.interruptible((signal) =>
          executeUndo(device, kept, newSha256, { verify, signal }),
        );
        const shown = printableText(path);
        const line =
          switched || restoredBytes + cutBytes > 0
            ? `Undone: ${shown} is again what it was.`
            : `${shown} is what it was already: nothing was written.`;
        if (context.json) {
          const document = {
            filename: path,
            operation: 'undo',
            undone: switched || restoredBytes + cutBytes > 0,
          };
          printJson(context, { ...document, 'restored-bytes': restoredBytes });
        } else if (!context.quiet) {
          printLines(
            context,
            verify === true ? [line, 'Verified: what was written reads back.'] : [line],
          );
        }
      } finally {
        await device.close();
      }
    } finally {
      await kept.close();
    }
    return EXIT_CODES.done.code;
  } catch (error) {
    const isOfFile = isQsnapError(error) && error.code === 'UNDO_FILE_INVALID';
    reportFailure(error, isOfFile ? file : path, 'repair', context);
    if (context.json) printJson(context, { error: errorJson(error, 'repair') });
    return EXIT_CODES.notDone.code;
  }
}
