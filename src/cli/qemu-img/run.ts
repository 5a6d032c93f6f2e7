/** The whole of qsnap-img as a function. */
import { isQsnapError } from '../../index.js';
import { parseArguments, type Request } from './argv.js';
import { HELP_TEXT, VERSION_TEXT } from './help.js';
import { PROGRAM, printerOf, type QemuImgIo, type QemuImgStreams } from './io.js';
import { sentenceOf } from './messages.js';
import { Refusal } from './refusal.js';

/**
 * Runs one command line.
 *
 * @param argv the arguments after the program's name, as byte strings.
 * @returns the exit code: 0, or 1 for everything that was not done.
 */
export async function run(argv: readonly string[], streams: QemuImgStreams): Promise<number> {
  const io = printerOf(streams);
  try {
    const request = parseArguments(argv, {
      posixlyCorrect: streams.env['POSIXLY_CORRECT'] !== undefined,
      warn: io.warn,
    });
    await perform(request, io);
    return 0;
  } catch (error) {
    if (error instanceof Refusal) {
      for (const text of error.before) io.printError(text);
      io.printError(`${PROGRAM}: ${error.text}\n`);
      return 1;
    }
    if (!isQsnapError(error)) throw error;
    io.printError(`${PROGRAM}: ${sentenceOf(error)}\n`);
    return 1;
  }
}

async function perform(request: Request, io: QemuImgIo): Promise<void> {
  switch (request.kind) {
    case 'help':
      io.printLines([HELP_TEXT]);
      return;
    case 'version':
      io.printLines([VERSION_TEXT]);
      return;
    case 'nothing':
      return;
    case 'snapshot':
      await (await import('./snapshot.js')).runSnapshot(request, io);
      return;
    case 'info':
      await (await import('./info.js')).runInfo(request, io);
  }
}
