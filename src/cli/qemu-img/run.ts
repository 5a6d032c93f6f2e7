/** The whole of qsnap-img as a function. */
import { isQsnapError } from '../../index.js';
import { optionsOf, type ArgvContext } from './argv.js';
import { COMMANDS, READING, UNSUPPORTED_COMMANDS } from './command.js';
import type { Grammar } from './getopt.js';
import { HELP_TEXT, VERSION_TEXT } from './help.js';
import { PROGRAM, printerOf, type QemuImgIo, type QemuImgStreams } from './io.js';
import { sentenceOf, USAGE, usageError } from './messages.js';
import { Refusal } from './refusal.js';

const MAIN: Grammar = {
  short: { h: false, V: false, T: true },
  long: { help: false, version: false, trace: true },
  stopAtOperand: true,
};

/**
 * Runs one command line.
 *
 * @param argv the arguments after the program's name, as byte strings.
 * @returns the exit code: 0, what the command says, or 1 for what was not done.
 */
export async function run(argv: readonly string[], streams: QemuImgStreams): Promise<number> {
  const io = printerOf(streams);
  try {
    return await perform(argv, io, {
      posixlyCorrect: streams.env['POSIXLY_CORRECT'] !== undefined,
      warn: io.warn,
    });
  } catch (error) {
    if (error instanceof Refusal) {
      for (const text of error.before) io.printError(text);
      io.printError(`${PROGRAM}: ${error.text}\n`);
      return error.exitCode;
    }
    if (!isQsnapError(error)) throw error;
    io.printError(`${PROGRAM}: ${sentenceOf(error)}\n`);
    return 1;
  }
}

async function perform(
  argv: readonly string[],
  io: QemuImgIo,
  context: ArgvContext,
): Promise<number> {
  const found = optionsOf([PROGRAM, ...argv], MAIN);
  for (;;) {
    const next = found.next();
    if (next.done === true) return runCommand(next.value, argv.length > 0, io, context);
    const { name, value } = next.value;
    if (name === 'h' || name === 'help') return printText(HELP_TEXT, io);
    if (name === 'V' || name === 'version') return printText(VERSION_TEXT, io);
    context.warn(`warning: tracing is not supported, '${value}' is ignored`);
  }
}

async function runCommand(
  operands: readonly string[],
  hadArguments: boolean,
  io: QemuImgIo,
  context: ArgvContext,
): Promise<number> {
  const [name] = operands;
  if (name === undefined) {
    if (hadArguments) return 0;
    throw usageError(USAGE.noCommand);
  }
  if (!Object.hasOwn(COMMANDS, name)) {
    if (UNSUPPORTED_COMMANDS.has(name)) throw new Refusal(USAGE.unsupportedCommand(name));
    throw usageError(USAGE.unknownCommand(name));
  }
  if (READING.has(name)) io.expectImages();
  const parse = await COMMANDS[name]!();
  const command = parse(operands, context);
  return command === undefined ? printText(HELP_TEXT, io) : command(io);
}

function printText(text: string, io: QemuImgIo): number {
  io.printLines([text]);
  return 0;
}
