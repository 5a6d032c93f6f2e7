/** The commands that look for what is left of deleted snapshots, and bring it back. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { RecoverFlags } from '../commands/recover.js';
import type { ScanFlags } from '../commands/scan.js';
import { backingOption, clusterSizeOf, formatOption, passphraseOption } from './guest.js';
import { formatOf } from '../export-format.js';
import { newFileOf, subcommand, type ContextFor, type Settle } from '../subcommand.js';

/** Adds `scan`. */
export function addScan(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(program, 'scan', 'Look for what deleted snapshots left in a file.')
    .argument('<image>', 'a qcow2 image')
    .option('--min <n>', 'the least plausibility to print, 0 to 100 (default 21)', plausibilityOf)
    .option('--carve <dir>', 'write the bytes of each that is printed to a file in a new folder')
    .addOption(
      new Option(
        '--cluster-size <size>',
        'instead of what the header says, or where it says nothing: 512 to 2M',
      ).argParser(clusterSizeOf),
    )
    .action(async (image: string, flags: ScanFlags, command: Command) => {
      const { scan } = await import('../commands/scan.js');
      settle(await scan(image, flags, contextFor(command)));
    });
}

const PARTS = ['header', 'snapshots', 'l1', 'refcounts'] as const;

/** Adds `recover`. */
export function addRecover(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(program, 'recover', 'Bring a deleted snapshot back, into a new file.')
    .argument('<image>', 'a qcow2 image')
    .option('--candidate <n>', 'the disk that `qsnap scan` gave this number', candidateOf)
    .option('-o, --output <file>', 'write its disk to a new file', newFileOf)
    .option('--into <copy>', 'write a copy of the image that has it as a snapshot', newFileOf)
    .option('--map <file>', 'write what is known of each range of the disk', newFileOf)
    .addOption(formatOption('-f, --format <format>', 'qcow2 if FILE ends in .qcow2, else raw'))
    .addOption(
      new Option(
        '--rebuild <part...>',
        'with --output: a copy in which these are made anew from what else is left',
      ).choices(PARTS),
    )
    .addOption(
      new Option(
        '--cluster-size <size>',
        'with --rebuild: where the header does not say it: 512 to 2M',
      ).argParser(clusterSizeOf),
    )
    .addOption(backingOption())
    .addOption(passphraseOption())
    .option('--force', 'replace files that are there')
    .action(async (image: string, flags: RecoverFlags, command: Command) => {
      const problem = problemOf(flags);
      if (problem !== undefined) command.error(`error: ${problem}`);
      const { recover } = await import('../commands/recover.js');
      const { output } = flags;
      const format = output === undefined ? undefined : formatOf({ ...flags, output });
      const given = { ...flags, ...(format !== undefined && { format }) };
      settle(await recover(image, given, contextFor(command)));
    });
}

/** Why options do not go together; undefined where they do. */
function problemOf(flags: RecoverFlags): string | undefined {
  const { candidate, output, into, map, rebuild, format, clusterSize } = flags;
  if (rebuild !== undefined) {
    if (candidate !== undefined) return '--rebuild makes a copy of all disks, and no candidate';
    if (map !== undefined) return '--map is for --candidate';
    return output === undefined || into !== undefined
      ? 'name the copy that --rebuild makes with --output'
      : undefined;
  }
  if (clusterSize !== undefined) return '--cluster-size is for --rebuild';
  if (candidate === undefined) return 'name a --candidate of `qsnap scan`, or a part to --rebuild';
  if ((output === undefined) === (into === undefined)) {
    return 'name one new file: --output for the disk, --into for a copy of the image with it';
  }
  if (into !== undefined && format !== undefined) return '--format is for --output';
  if (map !== undefined && (map === output || map === into)) {
    return '--map and the output can not be one file';
  }
  return undefined;
}

/** @throws InvalidArgumentError. */
function plausibilityOf(text: string): number {
  if (/^\d{1,3}$/.test(text) && Number(text) <= 100) return Number(text);
  throw new InvalidArgumentError('Write a number from 0 to 100.');
}

/** @throws InvalidArgumentError. */
function candidateOf(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Write the number that `qsnap scan` prints.');
}
