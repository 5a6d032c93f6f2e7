import { createOutputFile, type OutputFileOptions } from '../../node/index.js';

/** The file is written in pieces of about this length. */
const PIECE_CHARACTERS = 2 ** 20;

/** A new file of JSON lines. */
export interface LinesFile {
  add(line: object): Promise<void>;
  /** Gives the file its name. */
  commit(): Promise<void>;
  discard(): Promise<void>;
}

/**
 * Begins the file, so that what is wrong with its name is known before the work.
 *
 * @throws QsnapError as `createOutputFile`.
 */
export async function newLinesFile(path: string, options: OutputFileOptions): Promise<LinesFile> {
  const output = await createOutputFile(path, options);
  let at = 0;
  let text = '';
  const write = async (): Promise<void> => {
    const bytes = new TextEncoder().encode(text);
    await output.device.writeBatch([{ at, bytes }]);
    at += bytes.length;
    text = '';
  };
  return {
    async add(line) {
      text += `${JSON.stringify(line)}\n`;
      if (text.length >= PIECE_CHARACTERS) await write();
    },
    async commit() {
      await write();
      await output.device.flush();
      await output.commit();
    },
    discard: () => output.discard(),
  };
}
