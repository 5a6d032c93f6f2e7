import type { Command } from 'commander';
import type { DiffFlags } from './commands/diff.js';
import { backingOption, formatOption, passphraseOption } from './program-guest.js';
import { subcommand, type ContextFor, type Settle } from './subcommand.js';

/** Adds `diff`. */
export function addDiff(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(program, 'diff', 'Tell where two disks of one image differ.')
    .argument('<image>', 'a qcow2 image')
    .argument('<a>', 'the disk before: a snapshot, or "active"')
    .argument('[b]', 'the disk after; without it the active disk')
    .option('--content', 'compare the bytes where clusters differ')
    .option('--extents', 'print a JSON list of start and length alone')
    .option('--patch <file>', 'write what differs as an overlay on <a>')
    .option('--backing-file <file>', 'what the overlay lies on: an export of <a>')
    .addOption(formatOption('--backing-format <format>', 'of that; without it as it begins'))
    .option('--raw-patch <file>', 'write what differs as a sparse raw file, and a map')
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
        refuseContradictions(flags, command);
        const { diff } = await import('./commands/diff.js');
        settle(await diff(image, [a, b], flags, contextFor(command)));
      },
    );
}

/** @throws CommanderError for options that can't go together. */
function refuseContradictions(flags: DiffFlags, command: Command): void {
  const { patch, rawPatch, backingFile, backingFormat } = flags;
  if (patch !== undefined && rawPatch !== undefined) {
    command.error('error: --patch and --raw-patch are two ways to write the same: choose one');
  }
  if (patch === undefined && backingFile !== undefined) {
    command.error('error: --backing-file is what the overlay of --patch lies on: add it');
  }
  if (backingFile === undefined && backingFormat !== undefined) {
    command.error('error: --backing-format is of a --backing-file: add it');
  }
}
