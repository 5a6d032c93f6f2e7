import { createOutputFile, type OutputFileOptions } from '../../node/index.js';
import { jsonText } from '../text.js';

/** A new file for one JSON document. */
export interface NewTextFile {
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
        { at: 0, bytes: new TextEncoder().encode(jsonText(document)) },
      ]);
      await output.device.flush();
      await output.commit();
    },
    discard: () => output.discard(),
  };
}
