/** The command that judges images by a policy. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { AuditFlags } from '../commands/audit.js';
import { isUrl, shownLocation } from '../../remote/location.js';
import { VERSION } from '../../version.js';
import {
  collect,
  editContext,
  newFileOf,
  subcommand,
  type ContextFor,
  type Settle,
} from '../subcommand.js';

const PROFILES = ['untrusted-upload', 'golden-image', 'evidence', 'host-backup'];
const FORMATS = ['text', 'json', 'sarif', 'junit', 'markdown', 'github'];
const READERS = ['openstack', 'nbdkit', '7-zip', 'libqcow', 'xmount', 'imago'];

/** Adds `audit`. */
export function addAudit(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(program, 'audit', 'Judge images by rules: may they ship, may they be touched.')
    .argument('[image...]', 'qcow2 images')
    .addOption(
      new Option('--profile <name>', `rules for a purpose: ${PROFILES.join(', ')}`)
        .argParser(profileName)
        .default(undefined),
    )
    .option('--policy <file>', 'rules of your own, in YAML or JSON; they win over profiles')
    .addOption(
      new Option(
        '--readable-by <readers>',
        `error where one of these can not read it: ${READERS.join(', ')}`,
      ).argParser(readerNames),
    )
    .option('--backing', 'open the backing files that an image names, and judge the chain')
    .addOption(
      new Option(
        '--fail-on <level>',
        'what fails the gate: error (default), warning or note',
      ).choices(['error', 'warning', 'note']),
    )
    .addOption(new Option('--format <format>', 'what is printed; text by default').choices(FORMATS))
    .addOption(
      new Option('--report <format=file>', 'another document besides, into a new file').argParser(
        reportFile,
      ),
    )
    .option('--baseline <file>', 'leave out what an earlier output of --json has')
    .option('--staged', 'judge the images that git has staged, as they are staged')
    .option('--fix', 'mend what has one safe remedy, and judge again')
    .option('-y, --yes', 'of --fix: do not ask')
    .option('-n, --dry-run', 'of --fix: say what would be mended, and change nothing')
    .option('--print-policy', 'print the rules as a policy file to begin with')
    .addOption(new Option('--explain <rule>', 'tell all about a rule').argParser(collect))
    .action(async (images: string[], flags: ParsedFlags, command: Command) => {
      const { explain: rules, printPolicy: prints, ...rest } = flags;
      const { audit, explain, printPolicy } = await import('../commands/audit.js');
      if (rules !== undefined) {
        settle(explain(rules, contextFor(command)));
        return;
      }
      if (!saysWhat(rest)) {
        command.error(
          'error: say what images are to be like: --profile, --policy, --readable-by or --backing',
        );
      }
      const wanted = { ...rest, version: VERSION };
      if (prints === true) {
        settle(await printPolicy(wanted, contextFor(command)));
        return;
      }
      refuseMixed(images, rest, command);
      const context =
        rest.fix === true ? editContext(contextFor, command, rest.dryRun) : contextFor(command);
      settle(await audit(images, wanted, context));
    });
}

type ParsedFlags = Omit<AuditFlags, 'version'> & {
  readonly explain?: readonly string[];
  readonly printPolicy?: boolean;
};

function refuseMixed(images: readonly string[], flags: ParsedFlags, command: Command): void {
  const { staged = false, fix = false, backing = false } = flags;
  if (staged && backing) {
    command.error('error: --backing follows names in files, and what is staged lies elsewhere');
  }
  const address = images.find(isUrl);
  if (fix && address !== undefined) {
    command.error(`error: ${shownLocation(address)} is an address: only files can be mended`);
  }
  if (staged && fix) {
    command.error('error: --fix mends files, and what is staged is none');
  }
  if (staged && images.length > 0) {
    command.error('error: --staged takes the images from git: none can be named');
  }
  if (!staged && images.length === 0) command.error("error: missing required argument 'image'");
  if (!fix && (flags.yes === true || flags.dryRun === true)) {
    command.error('error: --yes and --dry-run are for --fix');
  }
}

function saysWhat(flags: Omit<AuditFlags, 'version'>): boolean {
  const { profile, policy, readableBy, backing } = flags;
  return [profile, policy, readableBy, backing].some((flag) => flag !== undefined);
}

function profileName(text: string, before: readonly string[] = []): readonly string[] {
  if (PROFILES.includes(text)) return [...before, text];
  throw new InvalidArgumentError(`Write ${PROFILES.join(', ')}.`);
}

type Reports = NonNullable<AuditFlags['report']>;

function reportFile(text: string, before: Reports = []): Reports {
  const [, format, file] = /^(\w+)=(.+)$/su.exec(text) ?? [];
  if (format === undefined || file === undefined || !FORMATS.slice(1).includes(format)) {
    throw new InvalidArgumentError(`Write ${FORMATS.slice(1).join(', ')}, "=" and a file name.`);
  }
  return [...before, { format: format as Reports[number]['format'], file: newFileOf(file) }];
}

function readerNames(text: string, before: readonly string[] = []): readonly string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.every((name) => READERS.includes(name))) return [...before, ...names];
  throw new InvalidArgumentError(`Write ${READERS.join(', ')}.`);
}
