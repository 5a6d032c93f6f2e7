import { openVmState, QsnapError, type Loss } from '../../../index.js';
import { printableText } from '../../../internal.js';
import { nodeCryptography, nodeDecompressor } from '../../../node/index.js';
import { EXIT_CODES, type ExitCode } from '../../exit-codes.js';
import { countText, exactSizeText, hexText, oneSafeLine } from '../../text.js';
import { printJson, printLines, printWarning, type Context } from '../context.js';
import { namedFiles } from '../named-files.js';
import { readPassphrase } from '../passphrase.js';
import { screenJson, vmStateJson, writtenJson } from '../present/vmstate-json.js';
import { vmStateLines } from '../present/vmstate-text.js';
import { registersJson, registersLines } from '../present/vmstate-registers.js';
import { withImage, type OpenedImage } from '../reading.js';
import { errorJson, reportFailure } from '../report.js';
import { selectSnapshot } from '../selection.js';
import type { OpenedState, VmStateFlags, VmStatePart } from '../vmstate-opened.js';
import { printMemory } from '../vmstate-at.js';
import {
  fileOfMemory,
  writeMemory,
  writeScreen,
  writeStream,
  type VmStateOutput,
} from '../vmstate-files.js';

/** `qsnap vmstate IMAGE SNAPSHOT PART` */
export function vmstate(
  path: string,
  selector: string,
  part: VmStatePart,
  flags: VmStateFlags,
  context: Context,
): Promise<ExitCode> {
  return context.io.interruptible(async (signal) => {
    try {
      const isWhole = await withImage(path, context, (open) => {
        return withState(open, selector, part, flags, signal, context);
      });
      return isWhole ? EXIT_CODES.done.code : EXIT_CODES.notDone.code;
    } catch (error) {
      reportFailure(error, path, 'read', context);
      if (context.json) printJson(context, { error: errorJson(error, 'read') });
      return EXIT_CODES.notDone.code;
    }
  });
}

/** @returns whether all of the VM state could be read. */
async function withState(
  open: OpenedImage,
  selector: string,
  part: VmStatePart,
  flags: VmStateFlags,
  signal: AbortSignal,
  context: Context,
): Promise<boolean> {
  const snapshot = selectSnapshot(open.image, selector);
  const lost = new LostBytes();
  open.progress.phase(`reading the VM state in ${open.path}`);
  const state = await openVmState(open.image, snapshot, {
    decompressor: nodeDecompressor(),
    cryptography: nodeCryptography(),
    onLost: lost.add,
    ...(flags.passphraseFile !== undefined && {
      passphrase: readPassphrase(flags.passphraseFile),
    }),
  });
  try {
    const map = await state.memoryMap(flags.low);
    await PARTS[part]({ open, snapshot, state, map, flags, context, signal });
  } finally {
    open.progress.stop();
    await state.close();
  }
  const shown = printableText(open.path);
  const problems = state.survey.problems.map(({ at, text }) => {
    return `the VM state at ${hexText(at)}: ${oneSafeLine(text)}`;
  });
  for (const line of [...problems, ...lost.lines()]) printWarning(context, `${shown}: ${line}`);
  return problems.length === 0 && lost.lines().length === 0;
}

const PARTS: Readonly<Record<VmStatePart, (opened: OpenedState) => Promise<void>>> = {
  info: tellInfo,
  extract: async (opened) => {
    tellWritten(opened, await writeStream(opened, outputOf(opened)));
  },
  memory: async (opened) => {
    if (opened.flags.at !== undefined) await printMemory(opened);
    else {
      tellDoubts(opened);
      const file = await fileOfMemory(opened);
      tellWritten(opened, await writeMemory(opened, file, outputOf(opened)));
    }
  },
  regs: tellRegisters,
  screen: tellScreen,
};

function outputOf({ flags, open }: OpenedState): VmStateOutput {
  const inputs = [open.source, ...namedFiles(open.image, open.path)];
  return { path: flags.output!, options: { replace: flags.force === true, inputs } };
}

/** Addresses that are taken for want of better are told where something is made of them. */
function tellDoubts({ map, flags, open, context }: OpenedState): void {
  if (flags.block !== undefined) return;
  for (const doubt of map.doubts) {
    printWarning(context, `${printableText(open.path)}: ${doubt}; --low tells the split`);
  }
}

async function tellInfo(opened: OpenedState): Promise<void> {
  const { open, context } = opened;
  const registers = await opened.state.registers();
  open.progress.stop();
  if (context.json) printJson(context, vmStateJson(opened, registers));
  else printLines(context, vmStateLines(opened, registers));
}

async function tellRegisters({ state, open, flags, context }: OpenedState): Promise<void> {
  const all = await state.registers();
  const { cpu } = flags;
  const chosen = cpu === undefined ? all : all.filter((one) => one.cpu === cpu);
  if (chosen.length === 0) {
    const there = all.map((one) => one.cpu).join(', ');
    throw new QsnapError(
      'VM_STATE_NOT_FOUND',
      'the VM state has no registers of such a processor',
      {
        structure: 'VM state',
        expected: there === '' ? 'registers of x86' : there,
        ...(cpu !== undefined && { actual: String(cpu) }),
      },
    );
  }
  open.progress.stop();
  if (context.json) {
    printJson(context, { filename: open.path, cpus: chosen.map(registersJson) });
  } else printLines(context, chosen.flatMap(registersLines));
}

async function tellScreen(opened: OpenedState): Promise<void> {
  const { state, flags, context, open } = opened;
  const screen = await state.screen();
  open.progress.stop();
  if (flags.output !== undefined) {
    tellWritten(opened, await writeScreen(opened, screen, outputOf(opened)));
    return;
  }
  if (screen.kind !== 'text') {
    throw new QsnapError('RANGE_INVALID', 'the screen is a picture', {
      hint: '-o FILE.png writes it',
    });
  }
  if (context.json) printJson(context, screenJson(open.path, screen));
  else printLines(context, screen.lines.map(oneSafeLine));
}

function tellWritten(opened: OpenedState, bytes: number): void {
  const { open, flags, context } = opened;
  open.progress.stop();
  if (flags.output === '-') return;
  if (context.json) printJson(context, writtenJson(opened, bytes));
  else if (!context.quiet) {
    printLines(context, [`Wrote ${exactSizeText(bytes)} to ${printableText(flags.output!)}`]);
  }
}

/** Stretches of a VM state that could not be read, each once however often it is read. */
class LostBytes {
  readonly #losses = new Map<number, Loss>();

  readonly add = (loss: Loss): void => {
    const before = this.#losses.get(loss.start);
    if (before === undefined || before.length < loss.length) this.#losses.set(loss.start, loss);
  };

  lines(): string[] {
    const losses = [...this.#losses.values()];
    const [first] = losses;
    if (first === undefined) return [];
    const bytes = losses.reduce((sum, { length }) => sum + length, 0);
    const what = `${countText(bytes, 'byte')} of the VM state can't be read and count as zeros`;
    return [`${what}: ${oneSafeLine(first.reason)}`];
  }
}
