/** The commands that tell of an image as of evidence. */
import { Option, type Command } from 'commander';
import type { TimelineFlags } from '../commands/timeline.js';
import { VERSION } from '../../version.js';
import { subcommand, type ContextFor, type Settle } from '../subcommand.js';

/** Adds `timeline`. */
export function addTimeline(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(program, 'timeline', 'Print all dates of images and their snapshots in order.')
    .argument('<image...>', 'qcow2 images')
    .addOption(
      new Option('--format <format>', 'what is printed; text by default').choices([
        ...['text', 'csv', 'bodyfile', 'dfxml', 'json'],
      ]),
    )
    .option('--no-file-dates', 'leave out what the host tells of the files, as of copies')
    .action(async (images: string[], flags: Omit<TimelineFlags, 'version'>, command: Command) => {
      const context = contextFor(command);
      refuseOtherThanJson(flags.format, context.json, command);
      const { timeline } = await import('../commands/timeline.js');
      settle(await timeline(images, { ...flags, version: VERSION }, context));
    });
}

/** `--json` is `--format json`. */
function refuseOtherThanJson(format: string | undefined, json: boolean, command: Command): void {
  if (!json || format === undefined || format === 'json') return;
  command.error(`error: option '--format ${format}' cannot be used with option '--json'`);
}
