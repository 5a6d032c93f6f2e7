/** The commands that tell of an image. */
import { InvalidArgumentError, type Command } from 'commander';
import type { CheckFlags } from '../commands/check.js';
import type { MapFlags } from '../commands/map.js';
import { SELECTOR_HELP } from '../help-texts.js';
import { subcommand, type ContextFor, type Settle } from '../subcommand.js';

/** Adds `info`. */
export function addInfo(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(program, 'info', 'Print what an image says of itself.')
    .argument('<image...>', 'qcow2 images')
    .action(async (images: string[], _options: unknown, command: Command) => {
      const { info } = await import('../commands/info.js');
      settle(await info(images, contextFor(command)));
    });
}

/** Adds `list`. */
export function addList(
  program: Command,
  contextFor: ContextFor,
  settle: Settle,
  isGroup: boolean,
): void {
  const command = subcommand(program, 'list', 'List the snapshots of images.').option(
    '--group <images...>',
    'put these images side by side: which names are on which',
  );
  if (isGroup) {
    command.action(async ({ group }: { group: string[] }) => {
      const { listGroup } = await import('../commands/group-list.js');
      settle(await listGroup(group, contextFor(command)));
    });
    return;
  }
  command
    .argument('<image...>', 'qcow2 images')
    .action(async (images: string[], _options: unknown, command: Command) => {
      const { list } = await import('../commands/list.js');
      settle(await list(images, contextFor(command)));
    });
}

/** Adds `show`. */
export function addShow(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(program, 'show', 'Print all fields of one snapshot.')
    .argument('<image>', 'a qcow2 image')
    .argument('<snapshot>', SELECTOR_HELP)
    .action(async (image: string, selector: string, _options: unknown, command: Command) => {
      const { show } = await import('../commands/show.js');
      settle(await show(image, selector, contextFor(command)));
    });
}

/** Adds `check`. */
export function addCheck(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(program, 'check', 'Count all references and judge every table of images.')
    .argument('<image...>', 'qcow2 images')
    .option(
      '--max-findings <n>',
      'findings to print of each image (40; --json: 100000)',
      parseCount,
    )
    .action(async (images: string[], flags: CheckFlags, command: Command) => {
      const { check } = await import('../commands/check.js');
      settle(await check(images, flags, contextFor(command)));
    });
}

/** Adds `map`. */
export function addMap(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(program, 'map', 'Print where the data of a disk or snapshot lies.')
    .argument('<image>', 'a qcow2 image')
    .argument('[snapshot]', `${SELECTOR_HELP}; without it, the disk`)
    .option('--backing', 'open the backing and data files that the image names')
    .action(
      async (image: string, selector: string | undefined, flags: MapFlags, command: Command) => {
        const { map } = await import('../commands/map.js');
        settle(await map(image, selector, flags, contextFor(command)));
      },
    );
}

function parseCount(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Write a number.');
}
