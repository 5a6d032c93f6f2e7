import type { Command } from 'commander';
import type { DiffFlags } from '../commands/diff.js';
import { backingOption, formatOption, passphraseOption } from './guest.js';
import { newFileOf, subcommand, type ContextFor, type Settle } from '../subcommand.js';

/** Adds `diff`. */
export function addDiff(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(program, 'diff', 'Tell where two disks of one image differ.')
    .argument('<image>', 'a qcow2 image')
    .argument('<a>', 'the disk before: a snapshot, or "active"')
    .argument('[b]', 'the disk after; without it the active disk')
    .option('--content', 'compare the bytes where clusters differ')
    .option('--extents', 'print a JSON list of start and length alone')
    .option('--patch <file>', 'write what differs as an overlay on <a>', newFileOf)
    .option('--backing-file <file>', 'what the overlay lies on: an export of <a>')
    .addOption(formatOption('--backing-format <format>', 'of that; without it as it begins'))
    .option('--raw-patch <file>', 'write what differs as a sparse raw file, and a map', newFileOf)
    .option('--force', 'replace files that are there')
    .addOption(backingOption())
    .addOption(passphraseOption())
    .action(
      async (
        image: string,
        a: string,
        b: string | undefined,
        flags: DiffFlags,
        command: Command,
      ) => {
        const { contradictionIn, diff } = await import('../commands/diff.js');
        const contradiction = contradictionIn(flags);
        if (contradiction !== undefined) command.error(`error: ${contradiction}`);
        settle(await diff(image, [a, b], flags, contextFor(command)));
      },
    );
}
