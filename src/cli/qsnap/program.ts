import { Command, InvalidArgumentError, Option } from 'commander';
import type { CliStreams } from '../streams.js';
import type { ApplyFlags } from './commands/apply.js';
import type { CheckFlags } from './commands/check.js';
import type { CreateFlags } from './commands/create.js';
import type { DeleteFlags } from './commands/delete.js';
import type { MapFlags } from './commands/map.js';
import type { RepairFlags } from './commands/repair.js';
import type { UndoFlags } from './commands/undo.js';
import type { EditFlags } from './editing.js';
import { contextOf, type Context, type GlobalOptions } from './context.js';
import { parseDate, type DateValue } from './date-option.js';
import { EXAMPLES, REPAIR_WHAT_HELP, SELECTOR_HELP } from './help-texts.js';
import { addCompact } from './program-compact.js';
import { addCompare, addExport } from './program-guest.js';
import { addRescue } from './program-rescue.js';
import {
  dryRunOption,
  verifyOption,
  editContext,
  subcommand,
  type ContextFor,
  type Settle,
} from './subcommand.js';
import { VERSION } from '../version.js';

type Add = (program: Command, contextFor: ContextFor, settle: Settle) => void;

const READING: Readonly<Record<string, Add>> = {
  ...{ info: addInfo, list: addList, show: addShow, check: addCheck, map: addMap },
  ...{ compare: addCompare, export: addExport },
  ...{ compact: addCompact, rescue: addRescue },
};

const EDITING: Readonly<Record<string, Add>> = {
  ...{ create: addCreate, apply: addApply, delete: addDelete, rename: addRename },
  ...{ repair: addRepair, undo: addUndo },
};

/** Every name that a command goes by. */
export const COMMAND_NAMES: ReadonlySet<string> = new Set([
  ...Object.keys(READING),
  ...Object.keys(EDITING),
  'revert',
]);

/**
 * The commands, their options and their help. What a command does is imported when it runs, so
 * that `--version` and `--help` load nothing else; and where `argv` names one command, the others
 * are not even declared.
 */
export function buildProgram(argv: readonly string[], io: CliStreams, settle: Settle): Command {
  const program = new Command('qsnap')
    .description('Lists and edits the internal snapshots of qcow2 images that no program has open.')
    .configureOutput({
      writeOut: (text) => {
        io.stdout.write(text);
      },
      writeErr: (text) => {
        io.stderr.write(text);
      },
      // run() prints usage errors, in the form of all other errors.
      outputError: () => undefined,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
      getOutHelpWidth: () => 80,
      getErrHelpWidth: () => 80,
    })
    .configureHelp({ showGlobalOptions: true, subcommandTerm: commandTerm })
    .exitOverride()
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .version(VERSION, '--version', 'print the version')
    .option('--json', 'print one JSON document on stdout')
    .addOption(new Option('-U, --force-share', 'read even while another program writes'))
    .option('--no-color', 'print without colour, as with NO_COLOR=1')
    .option('-q, --quiet', 'no confirmations, warnings or progress')
    .addHelpText('after', EXAMPLES.qsnap);

  program.hook('preAction', (_, command) => {
    if (command.name() in READING) io.expectImages?.();
  });

  const contextFor = (command: Command): Context =>
    contextOf(io, command.optsWithGlobals<GlobalOptions>());
  // No option before a command takes a value.
  const word = argv.find((argument) => !argument.startsWith('-'));
  const only = word === 'revert' ? 'apply' : word;
  const isKnown = only !== undefined && COMMAND_NAMES.has(only);
  for (const [group, commands] of [
    ['Commands that read:', READING],
    ['Commands that edit:', EDITING],
  ] as const) {
    program.commandsGroup(group);
    for (const [name, add] of Object.entries(commands)) {
      if (!isKnown || name === only) add(program, contextFor, settle);
    }
  }
  return program;
}

/** `apply|revert <image> <snapshot>`: that there are options need not be said of each. */
function commandTerm(command: Command): string {
  const names = [command.name(), ...command.aliases()].join('|');
  const parts = command.registeredArguments.map((argument) => {
    const word = `${argument.name()}${argument.variadic ? '...' : ''}`;
    return argument.required ? `<${word}>` : `[${word}]`;
  });
  return [names, ...parts].join(' ');
}

function addInfo(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(program, 'info', 'Print what an image says of itself.')
    .argument('<image...>', 'qcow2 images')
    .action(async (images: string[], _options: unknown, command: Command) => {
      const { info } = await import('./commands/info.js');
      settle(await info(images, contextFor(command)));
    });
}

function addList(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(program, 'list', 'List the snapshots of images.')
    .argument('<image...>', 'qcow2 images')
    .action(async (images: string[], _options: unknown, command: Command) => {
      const { list } = await import('./commands/list.js');
      settle(await list(images, contextFor(command)));
    });
}

function addShow(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(program, 'show', 'Print all fields of one snapshot.')
    .argument('<image>', 'a qcow2 image')
    .argument('<snapshot>', SELECTOR_HELP)
    .action(async (image: string, selector: string, _options: unknown, command: Command) => {
      const { show } = await import('./commands/show.js');
      settle(await show(image, selector, contextFor(command)));
    });
}

function addCheck(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(program, 'check', 'Count all references and judge every table of images.')
    .argument('<image...>', 'qcow2 images')
    .option(
      '--max-findings <n>',
      'findings to print of each image (40; --json: 100000)',
      parseCount,
    )
    .action(async (images: string[], flags: CheckFlags, command: Command) => {
      const { check } = await import('./commands/check.js');
      settle(await check(images, flags, contextFor(command)));
    });
}

function addMap(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(program, 'map', 'Print where the data of a disk or snapshot lies.')
    .argument('<image>', 'a qcow2 image')
    .argument('[snapshot]', `${SELECTOR_HELP}; without it, the disk`)
    .option('--backing', 'open the backing and data files that the image names')
    .action(
      async (image: string, selector: string | undefined, flags: MapFlags, command: Command) => {
        const { map } = await import('./commands/map.js');
        settle(await map(image, selector, flags, contextFor(command)));
      },
    );
}

function parseCount(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Write a number.');
}

function addRepair(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(
    program,
    'repair',
    'Mend what a check finds; guest data is given up only where you name it.',
  )
    .argument('<image>', 'a qcow2 image')
    .argument('[what...]', REPAIR_WHAT_HELP)
    .addOption(new Option('-n, --plan', 'print what would be written, and write nothing'))
    .addOption(new Option('--dry-run', 'the same as --plan').implies({ plan: true }))
    .option('--undo <file>', 'keep in a new file what is overwritten')
    .option('--punch', 'give what is freed back to the host')
    .option('--drop-snapshot <snapshot...>', 'drop snapshots that can not be mended')
    .option('--drop-unread-snapshots', 'drop all from the first unreadable table entry on')
    .option(
      '--empty-l1 <disk...>',
      'put an empty L1 table in place of that of "active" or a snapshot',
    )
    .option('--drop-bitmaps', 'give up all persistent bitmaps')
    .addOption(verifyOption())
    .action(async (image: string, what: string[], flags: RepairFlags, command: Command) => {
      const { repair } = await import('./commands/repair.js');
      const context = editContext(contextFor, command, flags.plan);
      settle(await repair(image, what, flags, context));
    });
}

function addUndo(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(program, 'undo', 'Put back what a repair overwrote.')
    .argument('<file>', 'what `repair --undo` wrote')
    .argument('<image>', 'the image, as the repair left it')
    .addOption(verifyOption())
    .action(async (file: string, image: string, flags: UndoFlags, command: Command) => {
      const { undo } = await import('./commands/undo.js');
      settle(await undo(file, image, flags, editContext(contextFor, command)));
    });
}

function addCreate(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(program, 'create', 'Take a snapshot of the disk as it is.')
    .argument('<image>', 'a qcow2 image')
    .argument('<name>', 'name of the new snapshot: 1 to 255 bytes')
    .addOption(
      new Option('--date <date>', 'date to record instead of now: ISO 8601, or @SECONDS').argParser(
        parseDateArgument,
      ),
    )
    .option('--id <id>', 'id to record instead of the next free number')
    .addOption(dryRunOption())
    .addOption(verifyOption())
    .action(async (image: string, name: string, flags: CreateFlags, command: Command) => {
      const { create } = await import('./commands/create.js');
      settle(await create(image, name, flags, editContext(contextFor, command, flags.dryRun)));
    });
}

function parseDateArgument(text: string): DateValue {
  const date = parseDate(text);
  if (date !== undefined) return date;
  throw new InvalidArgumentError(
    'Write 2026-11-22T14:03:12Z, 2026-11-22 14:03:12 (local time) or @1795356192, 1970 to 2106.',
  );
}

function addApply(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(program, 'apply', 'Make the disk what it was in a snapshot.')
    .alias('revert')
    .argument('<image>', 'a qcow2 image')
    .argument('<snapshot>', SELECTOR_HELP)
    .addOption(
      new Option('--discard-changes', 'lose what the disk holds and no snapshot has').conflicts(
        'saveAs',
      ),
    )
    .option('--save-as <name>', 'keep what the disk holds in a new snapshot first')
    .addOption(dryRunOption())
    .addOption(verifyOption())
    .action(async (image: string, selector: string, flags: ApplyFlags, command: Command) => {
      const { apply } = await import('./commands/apply.js');
      settle(await apply(image, selector, flags, editContext(contextFor, command, flags.dryRun)));
    });
}

function addDelete(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(program, 'delete', 'Delete snapshots, all in one pass.')
    .argument('<image>', 'a qcow2 image')
    .argument('<snapshot...>', SELECTOR_HELP)
    .option('--in-place', 'for a full disk: do with the room of what is deleted')
    .addOption(dryRunOption())
    .addOption(verifyOption())
    .action(async (image: string, selectors: string[], flags: DeleteFlags, command: Command) => {
      const { deleteSnapshots } = await import('./commands/delete.js');
      const context = editContext(contextFor, command, flags.dryRun);
      settle(await deleteSnapshots(image, selectors, flags, context));
    });
}

function addRename(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(program, 'rename', 'Give a snapshot another name.')
    .argument('<image>', 'a qcow2 image')
    .argument('<snapshot>', SELECTOR_HELP)
    .argument('<new-name>', 'the new name: 1 to 255 bytes')
    .addOption(dryRunOption())
    .addOption(verifyOption())
    .action(
      async (
        image: string,
        selector: string,
        newName: string,
        flags: EditFlags,
        command: Command,
      ) => {
        const { rename } = await import('./commands/rename.js');
        const context = editContext(contextFor, command, flags.dryRun);
        settle(await rename(image, selector, newName, flags, context));
      },
    );
}
