import { isQsnapError } from '../../index.js';
import { printableText } from '../../internal.js';
import { createOutputFile, type OutputFileOptions } from '../../node/index.js';
import { jsonText } from '../text.js';

/** A new file for one JSON document, or for text. */
export interface NewTextFile {
  /** Text is written as it is, anything else as JSON. */
  write(document: unknown): Promise<void>;
  discard(): Promise<void>;
}

/**
 * Begins a new file, so that what is wrong with its name is known before the work.
 *
 * @throws QsnapError as `createOutputFile`.
 */
export async function newTextFile(file: string, options: OutputFileOptions): Promise<NewTextFile> {
  const output = await createOutputFile(file, options);
  return {
    async write(document) {
      await output.device.writeBatch([
        { at: 0, bytes: new TextEncoder().encode(textOf(document)) },
      ]);
      await output.device.flush();
      await output.commit();
    },
    discard: () => output.discard(),
  };
}

const textOf = (document: unknown): string =>
  typeof document === 'string' ? document : jsonText(document);

/**
 * Writes what goes beside a copy that is finished, and may have taken hours: the error of a failure says that the copy
 * is there.
 *
 * @param copy the name of the copy; undefined where it has none.
 */
export async function besideFinished(
  copy: string | undefined,
  write: () => Promise<void>,
): Promise<void> {
  try {
    await write();
  } catch (error) {
    if (copy === undefined || !isQsnapError(error)) throw error;
    throw error.with({ hint: `${printableText(copy)} is complete and has its name` });
  }
}
