/** The commands that edit snapshots. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { ApplyFlags } from '../commands/apply.js';
import type { CreateFlags } from '../commands/create.js';
import type { DeleteFlags } from '../commands/delete.js';
import { parseDate, type DateValue } from '../date-option.js';
import type { EditFlags } from '../editing.js';
import { GROUP_NAME_HELP, SELECTOR_HELP } from '../help-texts.js';
import { groupOption, ofGroup, resumeOption } from './group.js';
import {
  dryRunOption,
  editContext,
  subcommand,
  verifyOption,
  type ContextFor,
  type Settle,
} from '../subcommand.js';

const NEW_NAME_HELP = 'name of the new snapshot: 1 to 255 bytes';

/** Adds `create`. */
export function addCreate(
  program: Command,
  contextFor: ContextFor,
  settle: Settle,
  isGroup: boolean,
): void {
  const command = subcommand(program, 'create', 'Take a snapshot of the disk as it is.')
    .addOption(
      new Option('--date <date>', 'date to record instead of now: ISO 8601, or @SECONDS').argParser(
        parseDateArgument,
      ),
    )
    .addOption(
      new Option('--id <id>', 'id to record instead of the next free number').conflicts('group'),
    )
    .addOption(groupOption())
    .addOption(resumeOption())
    .addOption(dryRunOption())
    .addOption(verifyOption());
  if (isGroup) {
    ofGroup(command, ['[name]', NEW_NAME_HELP], contextFor, settle);
    return;
  }
  command
    .argument('<image>', 'a qcow2 image')
    .argument('<name>', NEW_NAME_HELP)
    .action(async (image: string, name: string, flags: CreateFlags, command: Command) => {
      const { create } = await import('../commands/create.js');
      settle(await create(image, name, flags, editContext(contextFor, command, flags.dryRun)));
    });
}

function parseDateArgument(text: string): DateValue {
  const date = parseDate(text);
  if (date !== undefined) return date;
  throw new InvalidArgumentError(
    'Write 2026-11-22T14:03:12Z, 2026-11-22 14:03:12 (local time) or @1795356192, 1970 to 2106.',
  );
}

/** Adds `apply`. */
export function addApply(
  program: Command,
  contextFor: ContextFor,
  settle: Settle,
  isGroup: boolean,
): void {
  const command = subcommand(program, 'apply', 'Make the disk what it was in a snapshot.')
    .alias('revert')
    .addOption(
      new Option('--discard-changes', 'lose what the disk holds and no snapshot has').conflicts(
        'saveAs',
      ),
    )
    .option('--save-as <name>', 'keep what the disk holds in a new snapshot first')
    .addOption(groupOption())
    .addOption(resumeOption())
    .addOption(dryRunOption())
    .addOption(verifyOption());
  if (isGroup) {
    ofGroup(command, ['[snapshot]', GROUP_NAME_HELP], contextFor, settle);
    return;
  }
  command
    .argument('<image>', 'a qcow2 image')
    .argument('<snapshot>', SELECTOR_HELP)
    .action(async (image: string, selector: string, flags: ApplyFlags, command: Command) => {
      const { apply } = await import('../commands/apply.js');
      settle(await apply(image, selector, flags, editContext(contextFor, command, flags.dryRun)));
    });
}

/** Adds `delete`. */
export function addDelete(
  program: Command,
  contextFor: ContextFor,
  settle: Settle,
  isGroup: boolean,
): void {
  const command = subcommand(program, 'delete', 'Delete snapshots, all in one pass.')
    .addOption(
      new Option('--in-place', 'for a full disk: do with the room of what is deleted').conflicts(
        'group',
      ),
    )
    .addOption(groupOption())
    .addOption(resumeOption())
    .addOption(dryRunOption())
    .addOption(verifyOption());
  if (isGroup) {
    ofGroup(command, ['[snapshot...]', GROUP_NAME_HELP], contextFor, settle);
    return;
  }
  command
    .argument('<image>', 'a qcow2 image')
    .argument('<snapshot...>', SELECTOR_HELP)
    .action(async (image: string, selectors: string[], flags: DeleteFlags, command: Command) => {
      const { deleteSnapshots } = await import('../commands/delete.js');
      const context = editContext(contextFor, command, flags.dryRun);
      settle(await deleteSnapshots(image, selectors, flags, context));
    });
}

/** Adds `rename`. */
export function addRename(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(program, 'rename', 'Give a snapshot another name.')
    .argument('<image>', 'a qcow2 image')
    .argument('<snapshot>', SELECTOR_HELP)
    .argument('<new-name>', 'the new name: 1 to 255 bytes')
    .addOption(dryRunOption())
    .addOption(verifyOption())
    .action(
      async (
        image: string,
        selector: string,
        newName: string,
        flags: EditFlags,
        command: Command,
      ) => {
        const { rename } = await import('../commands/rename.js');
        const context = editContext(contextFor, command, flags.dryRun);
        settle(await rename(image, selector, newName, flags, context));
      },
    );
}
