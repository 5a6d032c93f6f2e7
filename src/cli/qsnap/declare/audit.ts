/** The command that judges images by a policy. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { AuditFlags } from '../commands/audit.js';
import { VERSION } from '../../version.js';
import { collect, subcommand, type ContextFor, type Settle } from '../subcommand.js';

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
    .option('--baseline <file>', 'leave out what an earlier output of --json has')
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
      if (images.length === 0) command.error("error: missing required argument 'image'");
      settle(await audit(images, wanted, contextFor(command)));
    });
}

type ParsedFlags = Omit<AuditFlags, 'version'> & {
  readonly explain?: readonly string[];
  readonly printPolicy?: boolean;
};

function saysWhat(flags: Omit<AuditFlags, 'version'>): boolean {
  const { profile, policy, readableBy, backing } = flags;
  return [profile, policy, readableBy, backing].some((flag) => flag !== undefined);
}

function profileName(text: string, before: readonly string[] = []): readonly string[] {
  if (PROFILES.includes(text)) return [...before, text];
  throw new InvalidArgumentError(`Write ${PROFILES.join(', ')}.`);
}

function readerNames(text: string, before: readonly string[] = []): readonly string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.every((name) => READERS.includes(name))) return [...before, ...names];
  throw new InvalidArgumentError(`Write ${READERS.join(', ')}.`);
}
