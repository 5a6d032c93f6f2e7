/** The command that tells what lies where. */
import { InvalidArgumentError, type Command } from 'commander';
import { SELECTOR_HELP } from '../help-texts.js';
import type { LocateFlags } from '../commands/locate.js';
import { subcommand, type ContextFor, type Settle } from '../subcommand.js';
import { offsetOf } from './dump.js';

/** Adds `locate`. */
export function addLocate(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(program, 'locate', 'Tell where a guest offset lies, or who has a host cluster.')
    .argument('<image>', 'a qcow2 image')
    .option('--guest <offset>', 'an offset on the disk: 65536, 0x10000, 64K', offsetOf)
    .option('--host <offset>', 'an offset in the file', offsetOf)
    .option('--cluster <n>', 'a host cluster by its number', clusterOf)
    .option('-s, --snapshot <snapshot>', `with --guest: ${SELECTOR_HELP}`)
    .option('--all', 'with --guest: the active disk and all snapshots')
    .action(async (image: string, flags: LocateFlags, command: Command) => {
      const { guest, host, cluster, snapshot, all } = flags;
      if ([guest, host, cluster].filter((one) => one !== undefined).length !== 1) {
        command.error('error: name one place: --guest, --host or --cluster');
      }
      if (guest === undefined && (snapshot !== undefined || all === true)) {
        command.error(
          'error: --snapshot and --all are for --guest: a cluster is looked for everywhere',
        );
      }
      if (snapshot !== undefined && all === true) {
        command.error("error: option '--snapshot' cannot be used with option '--all'");
      }
      const { locate } = await import('../commands/locate.js');
      settle(await locate(image, flags, contextFor(command)));
    });
}

function clusterOf(text: string): number {
  if (/^\d{1,12}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Write the number of a cluster.');
}
