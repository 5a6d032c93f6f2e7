import { CommanderError } from 'commander';
import { COMPARE_EXIT_CODES, EXIT_CODES, type ExitCode } from '../exit-codes.js';
import type { CliStreams } from '../streams.js';
import { styleFor } from '../style.js';
import { jsonText, oneSafeLine } from '../text.js';
import type { Evidence } from './evidence/evidence.js';
import { VERSION } from '../version.js';
import { buildProgram, COMMAND_NAMES, commandWord, isFleetCommand } from './program.js';

/**
 * The command line as a function: the arguments after the program's name in, text on the streams
 * and an exit code out. Never throws, never ends the process.
 */
export async function run(argv: readonly string[], io: CliStreams): Promise<ExitCode> {
  let outcome: ExitCode = EXIT_CODES.done.code;
  let evidence: Evidence | undefined;
  try {
    refuseMangledArguments(argv, io);
    const settle = (code: ExitCode): void => {
      outcome = code;
    };
    const fleet = isFleetCommand(commandWord(argv))
      ? (await import('../fleet/index.js')).COMMANDS
      : undefined;
    if (argv.some((word) => /^--evidence(=|$)/.test(word))) {
      const { Evidence: Made } = await import('./evidence/evidence.js');
      evidence = new Made(argv, io, { version: VERSION, failureCode: failureCode(argv) });
    }
    const program = buildProgram(argv, evidence?.io ?? io, settle, fleet, evidence);
    await program.parseAsync(argv, { from: 'user' });
    return (await evidence?.end(outcome)) ?? outcome;
  } catch (error) {
    await evidence?.discard();
    if (!(error instanceof CommanderError)) return reportBug(error, argv, io);
    if (error.exitCode === 0) return EXIT_CODES.done.code;
    // Called without a command: commander has printed the help to stderr.
    if (error.code !== 'commander.help') reportUsage(error, argv, io);
    return failureCode(argv);
  }
}

/**
 * Node turns argument bytes that are not UTF-8 into U+FFFD. Such a name would be another name, and
 * such a path another file.
 */
function refuseMangledArguments(argv: readonly string[], io: CliStreams): void {
  const mangled = argv.findIndex((argument) => argument.includes('\ufffd'));
  if (mangled === -1 || io.argumentsAreExact()) return;
  throw new CommanderError(
    EXIT_CODES.notDone.code,
    'qsnap.argumentNotUtf8',
    `error: argument ${mangled + 1} is not valid UTF-8, and qsnap takes no other names\n` +
      'a snapshot with such a name can be selected by its id, as in id:3',
  );
}

function commandIn(argv: readonly string[]): string | undefined {
  return argv.find((argument) => COMMAND_NAMES.has(argument));
}

/** What a command ends with that could not do what was asked for. */
export function failureCode(argv: readonly string[]): ExitCode {
  const command = commandIn(argv);
  if (command === 'compare' || command === 'diff') return COMPARE_EXIT_CODES.notCompared.code;
  return EXIT_CODES.notDone.code;
}

function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return (end === -1 ? argv : argv.slice(0, end)).includes('--json');
}

function printErrorObject(error: Record<string, unknown>, io: CliStreams): void {
  io.stdout.write(jsonText({ error }));
}

function reportUsage(error: CommanderError, argv: readonly string[], io: CliStreams): void {
  const [first = '', ...more] = error.message.replace(/^error: /, '').split('\n');
  const message = oneSafeLine(first);
  const command = commandIn(argv);
  const help = command === undefined ? 'qsnap --help' : `qsnap ${command} --help`;
  const hints = [
    ...more.map((line) => oneSafeLine(line).replace(/^\((.*)\)$/, '$1')),
    ...(error.code.startsWith('commander.') ? [`\`${help}\` shows what it takes`] : []),
  ];
  const style = styleFor(io.stderr, io, !argv.includes('--no-color'));
  const lines = [
    `${style.error('qsnap:')} ${message}`,
    ...hints.filter((hint) => hint !== '').map((hint) => `hint: ${hint}`),
  ];
  io.stderr.write(`${lines.join('\n')}\n`);
  if (wantsJson(argv)) printErrorObject({ code: 'USAGE', kind: 'request', message }, io);
}

/** What nobody foresaw is shown whole, so that it can be mended. */
function reportBug(error: unknown, argv: readonly string[], io: CliStreams): ExitCode {
  const message = error instanceof Error ? error.message : String(error);
  const stack = error instanceof Error ? (error.stack ?? message) : message;
  const lines = stack.split('\n').map((line) => `${oneSafeLine(line)}\n`);
  io.stderr.write(
    `qsnap: something went wrong that qsnap did not foresee\n${lines.join('')}` +
      'hint: this is a bug of qsnap; please report it with the command and the lines above\n',
  );
  if (wantsJson(argv)) {
    printErrorObject({ code: 'INTERNAL', kind: 'internal', message: oneSafeLine(message) }, io);
  }
  return failureCode(argv);
}
