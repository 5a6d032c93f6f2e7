/** The command that leaves nothing of what was deleted. */
import type { Command } from 'commander';
import type { ScrubFlags } from '../commands/scrub.js';
import { editContext, subcommand, type ContextFor, type Settle } from '../subcommand.js';

/** Adds `scrub`. */
export function addScrub(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(program, 'scrub', 'Make zeros of every byte of the file that nothing refers to.')
    .argument('<image>', 'a qcow2 image')
    .option('--punch', 'give free clusters back to the host, where it takes them')
    .option('-n, --dry-run', 'say how much would become zeros, and change nothing')
    .option('--verify', 'check the image before and after as well')
    .action(async (image: string, flags: ScrubFlags, command: Command) => {
      const { scrub } = await import('../commands/scrub.js');
      settle(await scrub(image, flags, editContext(contextFor, command, flags.dryRun)));
    });
}
