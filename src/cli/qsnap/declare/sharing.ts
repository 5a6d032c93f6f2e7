/** The commands that tell what disks have in common. */
import { Option, type Command } from 'commander';
import type { TreeFlags } from '../commands/tree.js';
import type { UsageFlags } from '../commands/usage.js';
import { collect, newFileOf, subcommand, type ContextFor, type Settle } from '../subcommand.js';

/** Adds `usage`. */
export function addUsage(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(program, 'usage', 'Tell what each snapshot costs, and what deleting some would free.')
    .argument('<image...>', 'qcow2 images')
    .addOption(
      new Option(
        '--if-deleted <snapshots>',
        'what deleting these together frees: id:2,id:3',
      ).argParser(collect),
    )
    .option('--svg <file>', 'draw the bars into a new file', newFileOf)
    .option('--force', 'replace the file of --svg')
    .action(async (images: string[], flags: UsageFlags, command: Command) => {
      refuseManyPictures(images, flags, command);
      const { usage } = await import('../commands/usage.js');
      settle(await usage(images, flags, contextFor(command)));
    });
}

/** Adds `tree`. */
export function addTree(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(program, 'tree', 'Draw which snapshot grew from which, inferred from what they share.')
    .argument('<image...>', 'qcow2 images')
    .option('--dot', 'print a graph for Graphviz')
    .option('--svg <file>', 'draw the tree into a new file', newFileOf)
    .option('--force', 'replace the file of --svg')
    .action(async (images: string[], flags: TreeFlags, command: Command) => {
      refuseManyPictures(images, flags, command);
      const context = contextFor(command);
      if (flags.dot === true && context.json) {
        command.error("error: option '--dot' cannot be used with option '--json'");
      }
      const { tree } = await import('../commands/tree.js');
      settle(await tree(images, flags, context));
    });
}

/** One file takes one picture: with `--force` each would replace the one before. */
function refuseManyPictures(
  images: readonly string[],
  { svg }: { readonly svg?: string },
  command: Command,
): void {
  if (svg === undefined || images.length === 1) return;
  command.error('error: --svg draws one image: name one');
}
