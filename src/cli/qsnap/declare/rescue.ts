/** The command that makes a new image of what is left of a damaged one. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { RescueFlags } from '../commands/rescue.js';
import { clusterSizeOf } from './guest.js';
import { newFileOf, subcommand, type ContextFor, type Settle } from '../subcommand.js';

/** Adds `rescue`. */
export function addRescue(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(program, 'rescue', 'Make a new image of what is left of a damaged one.')
    .argument('<image>', 'a damaged qcow2 image')
    .option('-o, --output <copy>', 'the new image', newFileOf)
    .addOption(new Option('-n, --plan', 'print what is found, and write nothing'))
    .option('--take <disk...>', 'take guesses, by the name that --plan prints')
    .option('--leave <disk...>', 'leave disks out')
    .option('--all', 'take every guess')
    .option('--map <file>', 'write what is lost of each disk to a new JSON file', newFileOf)
    .addOption(
      new Option(
        '--cluster-size <size>',
        'instead of what the header says, or where it says nothing: 512 to 2M',
      ).argParser(clusterSizeOf),
    )
    .addOption(
      new Option(
        '--disk-size <bytes>',
        'instead of what the header says, or where it says nothing',
      ).argParser(diskSizeOf),
    )
    .option('--force', 'replace files that are there')
    .action(async (image: string, flags: RescueFlags, command: Command) => {
      if (flags.plan !== true && flags.output === undefined) {
        command.error(
          'error: name the new image with --output, or print what is found with --plan',
        );
      }
      const { rescue } = await import('../commands/rescue.js');
      settle(await rescue(image, flags, contextFor(command)));
    });
}

function diskSizeOf(text: string): number {
  const bytes = Number(text);
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(bytes)) return bytes;
  throw new InvalidArgumentError('Write a number of bytes below 2^53.');
}
