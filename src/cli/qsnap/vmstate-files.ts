/** What `vmstate` writes to files and to stdout. */
import {
  elfMemoryFile,
  limeMemoryFile,
  paddedMemoryFile,
  QsnapError,
  rawMemoryFile,
  type MemoryFile,
  type RamBlock,
  type Screen,
  type VmState,
} from '../../index.js';
import { isZero, newIoBytes, printableText, readAhead, throwIfAborted } from '../../internal.js';
import { createOutputFile, type OutputFile, type OutputFileOptions } from '../../node/index.js';
import type { OpenedState } from './vmstate-opened.js';
import { printWarning, type Context } from './context.js';

import { sent } from './sent.js';

/** Bytes of the stream that are copied at a time. */
const COPY_BYTES = 4 * 2 ** 20;

/** Where something goes. */
export interface VmStateOutput {
  readonly path: string;
  readonly options: OutputFileOptions;
}

/** Copies the stream as it is, to its parsed end. @returns bytes of it. */
export async function writeStream(opened: OpenedState, output: VmStateOutput): Promise<number> {
  const { state, context } = opened;
  const bytes = state.survey.streamBytes ?? state.survey.parsedTo;
  if (output.path === '-') {
    for await (const piece of streamPieces(opened, bytes))
      await sent(piece.bytes, context.io.stdout);
    return bytes;
  }
  return withOutput(opened, output, async ({ device }) => {
    await device.truncate(bytes);
    for await (const piece of readAhead(streamPieces(opened, bytes))) {
      // Between the pages of mapped-ram there are long stretches of nothing.
      if (!isZero(piece.bytes)) await device.writeBatch([piece]);
    }
    return bytes;
  });
}

/** A piece is valid up to the next but one. */
async function* streamPieces(
  { state, signal }: OpenedState,
  end: number,
): AsyncGenerator<{ at: number; bytes: Uint8Array }> {
  const memories = [newIoBytes(COPY_BYTES), newIoBytes(COPY_BYTES)] as const;
  for (let at = 0; at < end; at += COPY_BYTES) {
    throwIfAborted(signal, 'the copy');
    const memory = memories[(at / COPY_BYTES) & 1]!;
    const bytes = memory.subarray(0, Math.min(COPY_BYTES, end - at));
    await state.source.readBatch([{ at, into: bytes }]);
    yield { at, bytes };
  }
}

/** The file that the flags ask for. @throws QsnapError VM_STATE_NOT_FOUND for a RAM block that there is not. */
export async function fileOfMemory({ state, map, flags }: OpenedState): Promise<MemoryFile> {
  if (flags.block !== undefined) return rawMemoryFile([blockNamed(state, flags.block)]);
  if (map.main.length === 0) throw noBlock(state, 'main RAM');
  if (flags.format === 'padded') return paddedMemoryFile(map);
  if (flags.format === 'lime') return limeMemoryFile(map);
  if (flags.format === 'elf') return elfMemoryFile(map, await state.registers());
  return rawMemoryFile(map.main);
}

/** A RAM block by its name. @throws QsnapError VM_STATE_NOT_FOUND. */
export function blockNamed(state: VmState, name: string): RamBlock {
  const found = state.survey.blocks.find((block) => block.name === name);
  if (found === undefined) throw noBlock(state, name);
  return found;
}

function noBlock({ survey }: VmState, name: string): QsnapError {
  const what = `the VM state has no RAM block ${printableText(name)}`;
  return new QsnapError('VM_STATE_NOT_FOUND', what, {
    structure: 'VM state',
    expected: survey.blocks.map((block) => printableText(block.name)).join(', '),
  });
}

/** Writes memory to a new file; what is zeros stays a hole. @returns bytes of the file. */
export async function writeMemory(
  opened: OpenedState,
  file: MemoryFile,
  output: VmStateOutput,
): Promise<number> {
  const { state, signal } = opened;
  return withOutput(opened, output, async ({ device }) => {
    await device.truncate(file.fileBytes);
    await device.writeBatch(file.heads);
    for await (const placed of readAhead(state.memory(file.placements))) {
      throwIfAborted(signal, 'the copy');
      if (placed.length > 0) await device.writeBatch(placed);
    }
    return file.fileBytes;
  });
}

const NOT_SO = {
  text: 'text, and video memory has no font to draw it with',
  pixels: 'a picture, and no text',
} as const;

/** Writes a screen as PNG, or as text. @returns bytes of the file. */
export async function writeScreen(
  opened: OpenedState,
  screen: Screen,
  output: VmStateOutput,
): Promise<number> {
  const { picture } = screen;
  let bytes: Uint8Array;
  if (opened.flags.text === true && screen.kind === 'text') {
    bytes = new TextEncoder().encode(`${screen.lines.join('\n')}\n`);
  } else if (picture === undefined || opened.flags.text === true) {
    throw new QsnapError('VM_STATE_NOT_FOUND', `the screen is ${NOT_SO[screen.kind]}`, {
      hint: screen.kind === 'text' ? '--text writes it' : 'without --text it is written as PNG',
    });
  } else {
    const { pngOf } = await import('./png.js');
    bytes = pngOf(picture);
  }
  return withOutput(opened, output, async ({ device }) => {
    await device.writeBatch([{ at: 0, bytes }]);
    return bytes.length;
  });
}

async function withOutput(
  { open, context }: OpenedState,
  { path, options }: VmStateOutput,
  write: (file: OutputFile) => Promise<number>,
): Promise<number> {
  const mode = await open.source.permissions?.();
  const file = await createOutputFile(path, { ...options, ...(mode !== undefined && { mode }) });
  try {
    tellLeftover(file, path, context);
    const bytes = await write(file);
    await file.device.flush();
    await file.commit();
    return bytes;
  } finally {
    await file.discard();
  }
}

function tellLeftover({ leftoverRemoved }: OutputFile, path: string, context: Context): void {
  if (!leftoverRemoved) return;
  printWarning(
    context,
    `removed what a command that was cut off had left of ${printableText(path)}`,
  );
}
