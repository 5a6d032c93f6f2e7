/** The command that changes the size of a disk. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { ResizeFlags } from '../commands/resize.js';
import { parseSizeChange, type SizeChange } from '../../text.js';
import {
  dryRunOption,
  editContext,
  subcommand,
  verifyOption,
  type ContextFor,
  type Settle,
} from '../subcommand.js';

/** Adds `resize`. */
export function addResize(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(program, 'resize', 'Give the active disk another size; snapshots keep theirs.')
    .argument('<image>', 'a qcow2 image')
    .argument('<size>', 'the new size, such as 20G, or the change: +5G, -512M', sizeOf)
    // A size to take away looks like options.
    .allowUnknownOption()
    .option('--shrink', 'allow a smaller size: what lies past the new end is lost')
    .addOption(
      new Option('--preallocation <mode>', 'give the new part its clusters at once').choices([
        ...['off', 'metadata', 'falloc', 'full'],
      ]),
    )
    .addOption(dryRunOption())
    .addOption(verifyOption())
    .action(async (image: string, size: SizeChange, flags: ResizeFlags, command: Command) => {
      const { resize } = await import('../commands/resize.js');
      settle(await resize(image, size, flags, editContext(contextFor, command, flags.dryRun)));
    });
}

function sizeOf(text: string): SizeChange {
  const change = parseSizeChange(text);
  if (change !== undefined) return change;
  throw new InvalidArgumentError('Write a size such as 20G, 1.5T, +512M or -1G.');
}
