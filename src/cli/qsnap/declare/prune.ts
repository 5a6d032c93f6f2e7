/** The command that deletes snapshots by rules. */
import type { Command } from 'commander';
import type { PruneFlags } from '../commands/prune.js';
import {
  dryRunOption,
  editContext,
  subcommand,
  verifyOption,
  type ContextFor,
  type Settle,
} from '../subcommand.js';
import { addPruneRules } from './prune-rules.js';

/** Adds `prune`. */
export function addPrune(program: Command, contextFor: ContextFor, settle: Settle): void {
  const command = subcommand(
    program,
    'prune',
    'Delete old snapshots by rules; what any rule keeps stays.',
  );
  addPruneRules(command.argument('<image...>', 'qcow2 images'))
    .option('-y, --yes', 'do not ask')
    .addOption(dryRunOption())
    .addOption(verifyOption())
    .action(async (images: string[], flags: PruneFlags) => {
      const { prune } = await import('../commands/prune.js');
      settle(await prune(images, flags, editContext(contextFor, command, flags.dryRun)));
    });
}
