/** The command that reads saved machines. */
import { Argument, InvalidArgumentError, Option, type Command } from 'commander';
import type { VmStateFlags, VmStatePart } from '../vmstate-opened.js';
import { parseSize } from '../../text.js';
import { SELECTOR_HELP } from '../help-texts.js';
import { subcommand, type ContextFor, type Settle } from '../subcommand.js';
import { passphraseOption } from './guest.js';

const PARTS = ['info', 'extract', 'memory', 'regs', 'screen'];

/** Adds `vmstate`. */
export function addVmState(program: Command, contextFor: ContextFor, settle: Settle): void {
  subcommand(program, 'vmstate', 'Read the machine that QEMU saved with a snapshot.')
    .argument('<image>', 'a qcow2 image')
    .argument('<snapshot>', SELECTOR_HELP)
    .addArgument(new Argument('[part]', 'what of it').choices(PARTS).default('info'))
    .option('-o, --output <file>', 'a new file for the stream (or -), memory or screen')
    .addOption(
      new Option('-f, --format <format>', 'of memory (default raw)').choices([
        ...['raw', 'padded', 'elf', 'lime'],
      ]),
    )
    .option('--block <name>', 'memory of this RAM block instead of the main RAM')
    .option('--at <address>', 'print memory from there on, as a hex dump', addressOf)
    .option('--length <n>', 'with --at: bytes of it (default 256)', lengthOf)
    .option('--raw', 'with --at: the bytes as they are')
    .option('--low <size>', 'main RAM below 4 GiB, where the VM state does not tell', lengthOf)
    .option('--cpu <n>', 'registers of this processor alone', numberOf)
    .option('--text', 'the screen as text')
    .option('--force', 'replace a file that is there')
    .addOption(passphraseOption())
    .action(
      async (
        image: string,
        selector: string,
        part: VmStatePart,
        flags: VmStateFlags,
        command: Command,
      ) => {
        const context = contextFor(command);
        const wrong = contradictionIn(part, flags, context.json, context.io.stdout.isTerminal);
        if (wrong !== undefined) command.error(`error: ${wrong}`);
        const { vmstate } = await import('../commands/vmstate.js');
        settle(await vmstate(image, selector, part, flags, context));
      },
    );
}

/** Which options belong to which part. */
const OPTIONS_OF: Readonly<Record<VmStatePart, readonly string[]>> = {
  info: ['low'],
  extract: ['output', 'force'],
  memory: ['output', 'force', 'format', 'block', 'at', 'length', 'raw', 'low'],
  regs: ['cpu'],
  screen: ['output', 'force', 'text'],
};

/** Of every part. */
const COMMON_OPTIONS: readonly string[] = ['passphraseFile', 'evidence'];

/** What of the options can't go together. */
function contradictionIn(
  part: VmStatePart,
  flags: VmStateFlags,
  json: boolean,
  isTerminal: boolean,
): string | undefined {
  const { output, at, length, raw, format, block } = flags;
  const foreign = Object.keys(flags).find((name) => {
    return !COMMON_OPTIONS.includes(name) && !OPTIONS_OF[part].includes(name);
  });
  if (foreign !== undefined) return `--${foreign} is not for ${part}`;
  const toStdout = output === '-';
  if (part === 'extract' && output === undefined) return '-o names the file; - for stdout';
  if (part !== 'extract' && toStdout) return 'only extract writes to stdout: -o names a file';
  if (toStdout && isTerminal) return 'a VM state is not for a terminal: pipe it on';
  if (toStdout && json) return 'with -o - stdout has the stream, and no JSON';
  if (part === 'screen' && output === undefined && flags.text !== true) {
    return '-o FILE.png writes a picture, --text prints the screen';
  }
  if (part !== 'memory') return undefined;
  if ((output === undefined) === (at === undefined)) return '-o names a file, or --at a place';
  if (at === undefined && (length !== undefined || raw === true)) return '--at tells from where on';
  if (at !== undefined && format !== undefined) return '--format is for files';
  if (block !== undefined && format !== undefined && format !== 'raw') {
    return 'a RAM block alone has no addresses: it is raw';
  }
  if (raw === true && isTerminal) return 'bytes are not for a terminal: pipe them on';
  return at !== undefined && json ? 'memory is printed as a dump, and no JSON' : undefined;
}

function addressOf(text: string): number {
  const value = /^(0x[0-9a-f]{1,13}|\d{1,15})$/i.test(text) ? Number(text) : NaN;
  if (Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError('Write an address, such as 0x100000.');
}

function lengthOf(text: string): number {
  const value = /^0x[0-9a-f]{1,13}$/i.test(text) ? Number(text) : parseSize(text);
  if (value !== undefined && Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError('Write a size, such as 512 or 64K.');
}

function numberOf(text: string): number {
  if (/^\d{1,5}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Write a number.');
}
