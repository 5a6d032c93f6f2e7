/** The commands that tell of an image as of evidence. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { HashFlags } from '../commands/hash.js';
import type { TimelineFlags } from '../commands/timeline.js';
import { VERSION } from '../../version.js';
import { backingOption, passphraseOption } from './guest.js';
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

/** Adds `hash`. */
export function addHash(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(program, 'hash', 'Print hashes of all disks and VM states, in one pass.')
    .argument('<image>', 'a qcow2 image')
    .addOption(
      new Option('--algorithm <name>', 'sha256 (default), md5, sha1 or sha512').choices([
        'sha256',
        'md5',
        'sha1',
        'sha512',
      ]),
    )
    .option('--piecewise <size>', 'hash pieces of this size: 512 to 1G', pieceSizeOf)
    .option('--whole', 'with --piecewise: whole disks as well')
    .addOption(
      new Option('--format <format>', 'what is printed; text by default').choices([
        ...['text', 'json', 'dfxml'],
      ]),
    )
    .option('--name-template <text>', 'names of exports: {image}.{disk}.raw', templateOf)
    .addOption(backingOption())
    .addOption(passphraseOption())
    .action(async (image: string, flags: ParsedHashFlags, command: Command) => {
      const context = contextFor(command);
      refuseOtherThanJson(flags.format, context.json, command);
      if (flags.whole === true && flags.piecewise === undefined) {
        command.error('error: --whole is for --piecewise: without it disks are hashed as wholes');
      }
      const { hash } = await import('../commands/hash.js');
      const { algorithm = 'sha256', ...rest } = flags;
      settle(await hash(image, { ...rest, algorithm, version: VERSION }, context));
    });
}

type ParsedHashFlags = Omit<HashFlags, 'version' | 'algorithm'> &
  Partial<Pick<HashFlags, 'algorithm'>>;

/** @throws InvalidArgumentError for what is no size of a piece. */
function pieceSizeOf(text: string): number {
  const [, digits, unit] = /^(\d{1,10})([kKmMgG]?)$/.exec(text) ?? [];
  const bytes = Number(digits) * 1024 ** ['', 'k', 'm', 'g'].indexOf((unit ?? '').toLowerCase());
  if (Number.isInteger(Math.log2(bytes)) && bytes >= 512 && bytes <= 2 ** 30) return bytes;
  throw new InvalidArgumentError('Write a power of two from 512 to 1G.');
}

/** @throws InvalidArgumentError for a template that gives several disks one name. */
function templateOf(text: string): string {
  const unknown = /\{(?!image\}|disk\})[^{}]*\}/.exec(text);
  if (!text.includes('{disk}') || unknown !== null) {
    throw new InvalidArgumentError('Write a name with {disk}, and {image} where you want it.');
  }
  return text;
}

/** `--json` is `--format json`. */
function refuseOtherThanJson(format: string | undefined, json: boolean, command: Command): void {
  if (!json || format === undefined || format === 'json') return;
  command.error(`error: option '--format ${format}' cannot be used with option '--json'`);
}
