/** The command that tells what lies where. */
import { InvalidArgumentError, type Command } from 'commander';
import { SELECTOR_HELP } from '../help-texts.js';
import type { LocateFlags } from '../commands/locate.js';
import { subcommand, type ContextFor, type Settle } from '../subcommand.js';
import { offsetOf } from './dump.js';
import { backingOption, passphraseOption } from './guest.js';

/** Adds `locate`. */
export function addLocate(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(program, 'locate', 'Tell where a guest offset lies, or who has a host cluster.')
    .argument('<image>', 'a qcow2 image')
    .option('--guest <offset>', 'an offset on the disk: 65536, 0x10000, 64K', offsetOf)
    .option('--host <offset>', 'an offset in the file', offsetOf)
    .option('--cluster <n>', 'a host cluster by its number', clusterOf)
    .option('-s, --snapshot <snapshot>', `with --guest: ${SELECTOR_HELP}`)
    .option('--all', 'with --guest: the active disk and all snapshots')
    .option(
      '--partition [n]',
      'with --guest: tell the partition; with its number OFFSET counts from there',
      partitionOf,
    )
    .addOption(backingOption())
    .addOption(passphraseOption())
    .action(async (image: string, flags: LocateFlags, command: Command) => {
      const { guest, host, cluster, snapshot, all, partition } = flags;
      if ([guest, host, cluster].filter((one) => one !== undefined).length !== 1) {
        command.error('error: name one place: --guest, --host or --cluster');
      }
      if (guest === undefined && (snapshot !== undefined || all === true)) {
        command.error(
          'error: --snapshot and --all are for --guest: a cluster is looked for everywhere',
        );
      }
      if (guest === undefined && partition !== undefined) {
        command.error('error: --partition is for --guest: a partition is a part of a disk');
      }
      if (snapshot !== undefined && all === true) {
        command.error("error: option '--snapshot' cannot be used with option '--all'");
      }
      const { locate } = await import('../commands/locate.js');
      settle(await locate(image, flags, contextFor(command)));
    });
}

/** The number of a partition; without one, true. @throws InvalidArgumentError. */
function partitionOf(text: string): number {
  if (/^[1-9]\d{0,4}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Write the number of a partition, as Linux counts them.');
}

function clusterOf(text: string): number {
  if (/^\d{1,12}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Write the number of a cluster.');
}
