/** The commands that mend an image, and undo that. */
import { Option, type Command } from 'commander';
import type { RepairFlags } from '../commands/repair.js';
import type { UndoFlags } from '../commands/undo.js';
import { REPAIR_WHAT_HELP } from '../help-texts.js';
import {
  editContext,
  newFileOf,
  subcommand,
  verifyOption,
  type ContextFor,
  type Settle,
} from '../subcommand.js';

/** Adds `repair`. */
export function addRepair(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(
    program,
    'repair',
    'Mend what a check finds; guest data is given up only where you name it.',
  )
    .argument('<image>', 'a qcow2 image')
    .argument('[what...]', REPAIR_WHAT_HELP)
    .addOption(new Option('-n, --plan', 'print what would be written, and write nothing'))
    .addOption(new Option('--dry-run', 'the same as --plan').implies({ plan: true }))
    .option('--undo <file>', 'keep in a new file what is overwritten', newFileOf)
    .option('--punch', 'give what is freed back to the host')
    .option('--drop-snapshot <snapshot...>', 'drop snapshots that can not be mended')
    .option('--drop-unread-snapshots', 'drop all from the first unreadable table entry on')
    .option(
      '--empty-l1 <disk...>',
      'put an empty L1 table in place of that of "active" or a snapshot',
    )
    .option('--drop-bitmaps', 'give up all persistent bitmaps')
    .addOption(verifyOption())
    .action(async (image: string, what: string[], flags: RepairFlags, command: Command) => {
      const { repair } = await import('../commands/repair.js');
      const context = editContext(contextFor, command, flags.plan);
      settle(await repair(image, what, flags, context));
    });
}

/** Adds `undo`. */
export function addUndo(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(program, 'undo', 'Put back what a repair overwrote.')
    .argument('<file>', 'what `repair --undo` wrote')
    .argument('<image>', 'the image, as the repair left it')
    .addOption(verifyOption())
    .action(async (file: string, image: string, flags: UndoFlags, command: Command) => {
      const { undo } = await import('../commands/undo.js');
      settle(await undo(file, image, flags, editContext(contextFor, command)));
    });
}
