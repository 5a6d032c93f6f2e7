/** What the commands share when they are declared. */
import { Command, InvalidArgumentError, Option } from 'commander';
import type { ExitCode } from '../exit-codes.js';
import type { Context } from './context.js';
import { EXAMPLES, type CommandName } from './help-texts.js';

/** Receives the exit code of the command that ran. */
export type Settle = (code: ExitCode) => void;

/** The context that a command's options ask for. */
export type ContextFor = (command: Command) => Context;

/** A command with its help; its arguments and options are for the caller to add. */
export function subcommand(program: Command, name: CommandName, description: string): Command {
  return program
    .command(name)
    .description(description)
    .helpOption('-h, --help', 'print this help')
    .addHelpText('after', EXAMPLES[name]);
}

/** The value of an option that may be given several times. */
export function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

/** The name of a file to write, which can't be a stream: what is written first may come last. */
export function newFileOf(text: string): string {
  if (text !== '-') return text;
  throw new InvalidArgumentError('It can not go to stdout; a file of that name is "./-".');
}

/** `--dry-run` of every command that edits. */
export function dryRunOption(): Option {
  return new Option('-n, --dry-run', 'print what would be written, and write nothing');
}

/** `--verify` of every command that edits. */
export function verifyOption(): Option {
  return new Option('--verify', 'read back and check what is written before it counts');
}

/**
 * The context of a command that edits.
 *
 * @throws CommanderError when it is told to share the image, which an edit can't.
 */
export function editContext(contextFor: ContextFor, command: Command, dryRun = false): Context {
  const context = contextFor(command);
  if (context.forceShare && !dryRun) {
    command.error('error: --force-share is for reading: an edit needs the image for itself');
  }
  return context;
}
