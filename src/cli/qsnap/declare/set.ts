/** The command that changes what the header says. */
import type { Command } from 'commander';
import type { SetFlags } from '../commands/set.js';
import {
  dryRunOption,
  editContext,
  subcommand,
  verifyOption,
  type ContextFor,
  type Settle,
} from '../subcommand.js';

/** Adds `set`. */
export function addSet(program: Command, contextFor: ContextFor, settle: Settle): void {
  const command = subcommand(
    program,
    'set',
    'Record another backing file, or none; no guest data is moved.',
  );
  let told = 0;
  for (const event of ['option:backing', 'option:no-backing']) {
    command.on(event, () => {
      told += 1;
    });
  }
  command
    .argument('<image>', 'a qcow2 image')
    .option('--backing <file>', 'the file to stand on; a relative name starts from the image')
    .option('--no-backing', 'stand on no file: what the image does not hold reads as zeros')
    .option('--backing-format <format>', 'what that file is, such as qcow2 or raw')
    .addOption(dryRunOption())
    .addOption(verifyOption())
    .action(async (image: string, flags: ParsedFlags, command: Command) => {
      if (told !== 1)
        command.error('error: say --backing FILE or --no-backing, and only one of them');
      const { backing, ...others } = flags;
      if (typeof backing !== 'string' && others.backingFormat !== undefined) {
        command.error('error: --backing-format says what the file of --backing is');
      }
      const { setHeader } = await import('../commands/set.js');
      const wanted = { ...others, backing: typeof backing === 'string' ? backing : undefined };
      settle(await setHeader(image, wanted, editContext(contextFor, command, flags.dryRun)));
    });
}

/** What the parser makes of a pair of options. */
interface ParsedFlags extends Omit<SetFlags, 'backing'> {
  readonly backing?: string | boolean;
}
