/** How commands take a group of images: as the value of an option, so that the arguments are names. */
import { Option, type Command } from 'commander';
import type { GroupFlags, GroupOperation } from '../commands/group-edit.js';
import { editContext, type ContextFor, type Settle } from '../subcommand.js';

/** Whether the arguments name a group: then the command is declared in another form. */
export function namesGroup(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  const options = end === -1 ? argv : argv.slice(0, end);
  return options.some((word) => word === '--group' || word.startsWith('--group='));
}

export function groupOption(): Option {
  return new Option(
    '--group <images...>',
    'edit these together, all or none; the name goes before',
  );
}

export function resumeOption(): Option {
  const help = 'with --group: bring an edit that was cut to its end';
  return new Option('--resume', help).conflicts(['date', 'saveAs']);
}

/**
 * The form of a command for a group.
 *
 * @param argument the names, which may be missing, and its help.
 */
export function ofGroup(
  command: Command,
  [argument, help]: readonly [string, string],
  contextFor: ContextFor,
  settle: Settle,
): void {
  command.argument(argument, help).action(async () => {
    const flags = command.opts<GroupFlags>();
    const { editGroup, refuseNames } = await import('../commands/group-edit.js');
    refuseNames(command, flags);
    const context = editContext(contextFor, command, flags.dryRun);
    settle(await editGroup(command.name() as GroupOperation, command.args, flags, context));
  });
}
