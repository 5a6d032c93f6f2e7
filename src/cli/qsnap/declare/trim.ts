/** The command that gives free room back. */
import type { Command } from 'commander';
import type { TrimFlags } from '../commands/trim.js';
import {
  editContext,
  subcommand,
  verifyOption,
  type ContextFor,
  type Settle,
} from '../subcommand.js';

/** Adds `trim`. */
export function addTrim(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(program, 'trim', 'Give free clusters back to the host and cut the free end off.')
    .argument('<image>', 'a qcow2 image')
    .option(
      '--relocate',
      'move the last clusters into free ones in front, so that the file shrinks',
    )
    .option('-n, --dry-run', 'say what would be given back, and change nothing')
    .addOption(verifyOption())
    .action(async (image: string, flags: TrimFlags, command: Command) => {
      const { trim } = await import('../commands/trim.js');
      settle(await trim(image, flags, editContext(contextFor, command, flags.dryRun)));
    });
}
