/** The command that writes an image anew, with what is in use and nothing else. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { CompactFlags } from '../commands/compact.js';
import { SELECTOR_HELP } from '../help-texts.js';
import { clusterSizeOf, compressionOf, passphraseOption } from './guest.js';
import { newFileOf, subcommand, type ContextFor, type Settle } from '../subcommand.js';

/** Adds `compact`. */
export function addCompact(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(
    program,
    'compact',
    'Write a new image with all disks, and nothing that is not in use.',
  )
    .argument('<image>', 'a qcow2 image')
    .requiredOption('-o, --output <file>', 'the new image', newFileOf)
    .option('-s, --snapshot <snapshot...>', `these snapshots alone: ${SELECTOR_HELP}`)
    .addOption(new Option('--no-snapshots', 'the active disk alone').conflicts('snapshot'))
    .option('--drop-zeros', 'leave out clusters that hold nothing but zeros')
    .option('--dedupe', 'make equal clusters of different disks at one address one')
    .addOption(
      new Option('-c, --compress [type]', 'compress clusters: deflate or zstd').argParser(
        compressionOf,
      ),
    )
    .addOption(
      new Option('--cluster-size <size>', 'another size of clusters: 512 to 2M').argParser(
        clusterSizeOf,
      ),
    )
    .addOption(
      new Option('--refcount-bits <bits>', 'another width of refcounts: 1 to 64').argParser(
        refcountBitsOf,
      ),
    )
    .addOption(
      new Option('--compat <version>', 'another version of the format').choices(['0.10', '1.1']),
    )
    .addOption(
      new Option('--extended-l2 <which>', 'with subclusters or without').choices(['on', 'off']),
    )
    .option('--force', 'replace a file that is there')
    .addOption(passphraseOption())
    .action(async (image: string, flags: ParsedFlags, command: Command) => {
      const { compact } = await import('../commands/compact.js');
      const { compress, ...rest } = flags;
      const type = compress === true ? 'zlib' : compress;
      const wanted = { ...rest, ...(type !== undefined && { compress: type }) };
      settle(await compact(image, wanted, contextFor(command)));
    });
}

type ParsedFlags = Omit<CompactFlags, 'compress'> & { readonly compress?: true | 'zlib' | 'zstd' };

function refcountBitsOf(text: string): CompactFlags['refcountBits'] {
  const bits = ([1, 2, 4, 8, 16, 32, 64] as const).find((one) => String(one) === text);
  if (bits !== undefined) return bits;
  throw new InvalidArgumentError('Write 1, 2, 4, 8, 16, 32 or 64.');
}
