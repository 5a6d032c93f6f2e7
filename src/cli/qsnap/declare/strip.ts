/** The command that takes VM state out. */
import type { Command } from 'commander';
import type { StripFlags } from '../commands/strip.js';
import { SELECTOR_HELP } from '../help-texts.js';
import {
  dryRunOption,
  editContext,
  subcommand,
  verifyOption,
  type ContextFor,
  type Settle,
} from '../subcommand.js';
import { passphraseOption } from './guest.js';

/** Adds `strip`. */
export function addStrip(program: Command, contextFor: ContextFor, settle: Settle): void {
  const command = subcommand(
    program,
    'strip',
    'Take out VM state that no snapshot entry tells of, or all of it; disks stay.',
  )
    .argument('<image>', 'a qcow2 image')
    .argument('[snapshot...]', `${SELECTOR_HELP}; default: all, and the active disk`)
    .option('--whole', 'all VM state of the snapshots named: QEMU can load none of it then')
    .addOption(passphraseOption())
    .addOption(dryRunOption())
    .addOption(verifyOption());
  command.action(
    async (image: string, selectors: string[], flags: StripFlags, command: Command) => {
      if (flags.whole === true && selectors.length === 0) {
        command.error("error: option '--whole' needs snapshots: name them");
      }
      const { strip } = await import('../commands/strip.js');
      const context = editContext(contextFor, command, flags.dryRun);
      settle(await strip(image, selectors, flags, context));
    },
  );
}
