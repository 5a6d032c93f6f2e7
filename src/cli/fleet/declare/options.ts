import { InvalidArgumentError, Option, type Command } from 'commander';
import { PROFILE_NAMES, type ProfileName } from '../../../index.js';
import { parseSize } from '../../text.js';
import type { StoreLimit } from '../worker/limits.js';

/** Options that commands on a catalogue share. */
export function databaseOption(): Option {
  return new Option(
    '--database <place>',
    'a folder, or postgres://…; else $QSNAP_DATABASE, or a folder of its own',
  );
}

/** How images are read. */
export function addWorkOptions(command: Command): Command {
  return command
    .addOption(new Option('--jobs <n>', 'images at once; one a core by default').argParser(countOf))
    .addOption(
      new Option(
        '--limit <store=jobs[,bytes]>',
        'of one store at once, and bytes a second: s3://b=4,10M',
      ).argParser(limitOf),
    )
    .addOption(
      new Option('--timeout <seconds>', 'for one image; 3600 by default').argParser(countOf),
    );
}

/** The rules that images are judged by. */
export function addPolicyOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--profile <name>', `rules to judge by: ${PROFILE_NAMES.join(', ')}`).argParser(
        profileOf,
      ),
    )
    .option('--policy <file>', 'rules of your own, in YAML or JSON');
}

export function countOf(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Write a number from 1.');
}

export function portOf(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) < 65_536) return Number(text);
  throw new InvalidArgumentError('Write a port: 0 to 65535.');
}

type NamedLimit = readonly [store: string, limit: StoreLimit];

function limitOf(text: string, before: readonly NamedLimit[] = []): readonly NamedLimit[] {
  const parts = /^(.+)=(\d{1,5})(?:,(.+))?$/.exec(text);
  const bytesPerSecond = parts?.[3] === undefined ? undefined : parseSize(parts[3]);
  const isRight = parts !== null && Number(parts[2]) > 0;
  if (!isRight || (parts[3] !== undefined && bytesPerSecond === undefined)) {
    throw new InvalidArgumentError('Write a store and a number: file=2, https://host=4,10M.');
  }
  return [...before, [parts[1]!, { images: Number(parts[2]), bytesPerSecond }]];
}

function profileOf(text: string, before: readonly ProfileName[] = []): readonly ProfileName[] {
  const name = PROFILE_NAMES.find((one) => one === text);
  if (name !== undefined) return [...before, name];
  throw new InvalidArgumentError(`Write ${PROFILE_NAMES.join(', ')}.`);
}
