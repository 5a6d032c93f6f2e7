import { Command, Option } from 'commander';
import type { CliStreams } from '../streams.js';
import { contextOf, type Context, type GlobalOptions } from './context.js';
import { addApply, addCreate, addDelete, addRename } from './declare/edit.js';
import { addAudit } from './declare/audit.js';
import { addCompact } from './declare/compact.js';
import { addDehydrate, addRehydrate } from './declare/dehydrate.js';
import { addDump } from './declare/dump.js';
import { addDiff } from './declare/diff.js';
import { addHash, addTimeline } from './declare/evidence.js';
import { addCompare, addExport } from './declare/guest.js';
import { addLocate } from './declare/locate.js';
import { addPrune } from './declare/prune.js';
import { addCheck, addInfo, addList, addMap, addShow } from './declare/read.js';
import { addRepair, addUndo } from './declare/repair.js';
import { addRescue } from './declare/rescue.js';
import { addResize } from './declare/resize.js';
import { addRecover, addScan } from './declare/scan.js';
import { addScrub } from './declare/scrub.js';
import { addSet } from './declare/set.js';
import { addTree, addUsage } from './declare/sharing.js';
import { addStrip } from './declare/strip.js';
import { addTrim } from './declare/trim.js';
import type { Evidence } from './evidence/evidence.js';
import { addVmState } from './declare/vmstate.js';
import { EXAMPLES } from './help-texts.js';
import { namesGroup } from './declare/group.js';
import type { ContextFor, Settle } from './subcommand.js';
import { VERSION } from '../version.js';

type Add = (program: Command, contextFor: ContextFor, settle: Settle, isGroup: boolean) => void;

const READING: Readonly<Record<string, Add>> = {
  info: addInfo,
  list: addList,
  show: addShow,
  usage: addUsage,
  tree: addTree,
  timeline: addTimeline,
  check: addCheck,
  audit: addAudit,
  map: addMap,
  dump: addDump,
  locate: addLocate,
  vmstate: addVmState,
  compare: addCompare,
  diff: addDiff,
  export: addExport,
  hash: addHash,
  compact: addCompact,
  rescue: addRescue,
  scan: addScan,
  recover: addRecover,
  dehydrate: addDehydrate,
  rehydrate: addRehydrate,
};

const EDITING: Readonly<Record<string, Add>> = {
  create: addCreate,
  apply: addApply,
  delete: addDelete,
  rename: addRename,
  prune: addPrune,
  resize: addResize,
  set: addSet,
  strip: addStrip,
  trim: addTrim,
  scrub: addScrub,
  repair: addRepair,
  undo: addUndo,
};

/** Commands on a catalogue of images, which lie in a program of their own: here is what the list of commands says. */
const FLEET = {
  catalog: 'Keep a database of many images, and ask it questions.',
  worker: 'Read images for a catalogue, beside other workers.',
} as const;

/** Makes a record of the command that runs. */
export type EvidenceOfCommand = Pick<Evidence, 'begin'>;

type FleetName = keyof typeof FLEET;

/** What declares the commands on a catalogue. */
export type FleetCommands = Readonly<Record<FleetName, Add>>;

export const isFleetCommand = (word: string | undefined): word is FleetName =>
  word !== undefined && word in FLEET;

/** Every name that a command goes by. */
export const COMMAND_NAMES: ReadonlySet<string> = new Set([
  ...Object.keys(READING),
  ...Object.keys(EDITING),
  ...Object.keys(FLEET),
  'revert',
]);

/** The command that the arguments name, as far as can be told before they are parsed. */
export function commandWord(argv: readonly string[]): string | undefined {
  // No option before a command takes a value.
  return argv.find((argument) => !argument.startsWith('-'));
}

/**
 * The commands, their options and their help. What a command does is imported when it runs, so
 * that `--version` and `--help` load nothing else; and where `argv` names one command, the others
 * are not even declared.
 *
 * @param fleet the commands on a catalogue, where `argv` names one of them.
 * @param evidence where a record is asked for.
 */
export function buildProgram(
  argv: readonly string[],
  io: CliStreams,
  settle: Settle,
  fleet?: FleetCommands,
  evidence?: EvidenceOfCommand,
): Command {
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

  const isGroup = namesGroup(argv);
  program.hook('preAction', (_, command) => {
    refuseEmptyNames(command);
    refuseAddresses(command, isGroup || !(command.name() in READING));
    if (command.getOptionValue('resume') === true && !isGroup) {
      command.error('error: --resume is for groups: --group names the images');
    }
    if (command.name() in READING) io.expectImages?.();
    return evidence?.begin(command, filesNamed(command));
  });

  const contextFor = (command: Command): Context =>
    contextOf(io, command.optsWithGlobals<GlobalOptions>());
  const word = commandWord(argv);
  const only = word === 'revert' ? 'apply' : word;
  const isKnown = only !== undefined && COMMAND_NAMES.has(only);
  for (const [group, commands] of [
    ['Commands that read:', READING],
    ['Commands that edit:', EDITING],
  ] as const) {
    program.commandsGroup(group);
    for (const [name, add] of Object.entries(commands)) {
      if (isKnown && name !== only) continue;
      add(program, contextFor, settle, isGroup);
      if (commands === READING) program.commands.at(-1)!.addOption(evidenceOption());
    }
  }
  program.commandsGroup('Commands for many images:');
  for (const [name, description] of Object.entries(FLEET)) {
    if (fleet !== undefined && name === only)
      fleet[only as FleetName](program, contextFor, settle, false);
    else if (!isKnown) program.command(name).description(description);
  }
  return program;
}

/** What names a file, as the declarations of options and arguments call it. */
const FILE_WORD = /<(file|copy|images\.\.\.)>$/;
/** Of a catalogue: a file, a folder or an address. */
const PLACE = 'place';
const FILE_ARGUMENTS: ReadonlySet<string> = new Set(['image', 'file', 'other', PLACE]);

/**
 * An empty name is mostly a variable of a script that has no value. No file has it, and a command must not take it for
 * an option that was not given.
 */
function refuseEmptyNames(command: Command): void {
  const empty = command.options.find(
    (option) =>
      FILE_WORD.test(option.flags) &&
      [command.getOptionValue(option.attributeName())].flat().includes(''),
  );
  if (empty !== undefined) {
    command.error(`error: option '${empty.flags}' argument is empty: no file has that name`);
  }
  for (const [i, argument] of command.registeredArguments.entries()) {
    if (!FILE_ARGUMENTS.has(argument.name())) continue;
    const given = command.args.slice(i, argument.variadic ? undefined : i + 1);
    if (given.includes('')) {
      command.error(`error: argument '${argument.name()}' is empty: no file has that name`);
    }
  }
}

/** As `isUrl` has it, whose module would be one more file to load at each start. */
const ADDRESS = /^(https?|s3):\/\//i;

/** What is on a server is read, and never written: no option takes its address, and no argument of an edit. */
function refuseAddresses(command: Command, isEdit: boolean): void {
  const named = command.options
    .filter((option) => FILE_WORD.test(option.flags))
    .flatMap((option) => [command.getOptionValue(option.attributeName()) as unknown].flat());
  const files = isEdit ? filesNamed(command) : [];
  if (![...named, ...files].some((word) => typeof word === 'string' && ADDRESS.test(word))) return;
  command.error(
    'error: an address on a server is only taken by commands that read, as an image\n' +
      'copy it to this host first; a file of such a name is written as ./NAME',
  );
}

/** The files that arguments of a command name; a place of a catalogue is none. */
function filesNamed(command: Command): readonly string[] {
  return command.registeredArguments.flatMap((argument, i) =>
    FILE_ARGUMENTS.has(argument.name()) && argument.name() !== PLACE
      ? command.args.slice(i, argument.variadic ? undefined : i + 1)
      : [],
  );
}

const evidenceOption = (): Option =>
  new Option('--evidence <file>', 'write a record: what was read, hashed before and after');

/** `apply|revert <image> <snapshot>`: that there are options need not be said of each. */
function commandTerm(command: Command): string {
  const names = [command.name(), ...command.aliases()].join('|');
  const parts = command.registeredArguments.map((argument) => {
    const word = `${argument.name()}${argument.variadic ? '...' : ''}`;
    return argument.required ? `<${word}>` : `[${word}]`;
  });
  return [names, ...parts].join(' ');
}
