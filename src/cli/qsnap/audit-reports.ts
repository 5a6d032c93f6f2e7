import { isQsnapError } from '../../index.js';
import { EXIT_CODES, type ExitCode } from '../exit-codes.js';
import type { Context } from './context.js';
import { reportFailure } from './report.js';
import { newTextFile, type NewTextFile } from './text-file.js';

/** A document of an audit that goes to a new file. */
export interface ReportFile<Format extends string> {
  readonly format: Format;
  readonly file: string;
}

/** An audit that is done, and its documents. */
interface Documented<Format extends string> {
  readonly code: ExitCode;
  readonly document: (format: Format) => string;
}

/**
 * Begins new files, does the work, and writes to each its document. What is wrong with a name is known before the work,
 * and a file that is there already is refused: it may be an image.
 *
 * @returns the code of the work; a document that can't be written makes it 1, but hides no corruption.
 */
export async function withReports<Format extends string>(
  wanted: readonly ReportFile<Format>[],
  context: Context,
  work: () => Promise<Documented<Format>>,
): Promise<ExitCode> {
  const begun: (ReportFile<Format> & { readonly output: NewTextFile })[] = [];
  const succeeds = async (file: string, action: () => Promise<unknown>): Promise<boolean> => {
    try {
      await action();
      return true;
    } catch (error) {
      const isThere = isQsnapError(error) && error.code === 'OUTPUT_EXISTS';
      const told = isThere ? error.with({ hint: 'choose another name' }) : error;
      reportFailure(told, file, 'read', context);
      return false;
    }
  };
  try {
    for (const one of wanted) {
      const begin = async (): Promise<void> => {
        begun.push({ ...one, output: await newTextFile(one.file, {}) });
      };
      if (!(await succeeds(one.file, begin))) return EXIT_CODES.notDone.code;
    }
    const { code, document } = await work();
    let isWhole = true;
    for (const { file, format, output } of begun) {
      const isWritten = await succeeds(file, () => output.write(document(format)));
      isWhole = isWhole && isWritten;
    }
    return isWhole || code === EXIT_CODES.corrupt.code ? code : EXIT_CODES.notDone.code;
  } finally {
    for (const { output } of begun) await output.discard();
  }
}
