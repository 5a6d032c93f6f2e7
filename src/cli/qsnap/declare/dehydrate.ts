/** The commands that write an image without its guest data, and fill such a one. */
import type { Command } from 'commander';
import type { DehydrateFlags, RehydrateFlags } from '../commands/dehydrate.js';
import { newFileOf, subcommand, type ContextFor, type Settle } from '../subcommand.js';

/** Adds `dehydrate`. */
export function addDehydrate(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(program, 'dehydrate', 'Write an image with all metadata and no guest data.')
    .argument('<image>', 'a qcow2 image')
    .requiredOption('-o, --output <file>', 'the new image', newFileOf)
    .option('--keep-names', 'leave names as they are, and what is not known of the metadata')
    .option('--force', 'replace a file that is there')
    .action(async (image: string, flags: DehydrateFlags, command: Command) => {
      const { dehydrate } = await import('../commands/dehydrate.js');
      settle(await dehydrate(image, flags, contextFor(command)));
    });
}

/** Adds `rehydrate`. */
export function addRehydrate(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(program, 'rehydrate', 'Write an image with a pattern in place of guest data.')
    .argument('<image>', 'a qcow2 image, mostly one without guest data')
    .requiredOption('-o, --output <file>', 'the new image', newFileOf)
    .option('--force', 'replace a file that is there')
    .action(async (image: string, flags: RehydrateFlags, command: Command) => {
      const { rehydrate } = await import('../commands/dehydrate.js');
      settle(await rehydrate(image, flags, contextFor(command)));
    });
}
