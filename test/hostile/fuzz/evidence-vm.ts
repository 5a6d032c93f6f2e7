/** The saved machines of a hostile image: as far as a stream can be read, and no further. */
import {
  elfMemoryFile,
  findVmState,
  limeMemoryFile,
  openVmState,
  paddedMemoryFile,
  placesAt,
  placesInBlock,
  rawMemoryFile,
  type MemoryFile,
  type MemoryMap,
  type OpenImage,
  type ReadableImage,
  type Snapshot,
  type VmState,
} from '../../../src/index.js';
import { nodeDecompressor } from '../../../src/node/index.js';
import type { Meter } from './meter.js';
import { judgeText, someSnapshots } from './reads.js';

const READ_BYTES = 65_536;
/** Bytes of memory that are asked for in all: a stream may repeat its pages. */
const MEMORY_BYTES = 2 ** 28;

/** Opens the VM state of some snapshots and asks all that can be asked of it. */
export async function readVmStates(image: ReadableImage, meter: Meter): Promise<void> {
  await meter.use('findVmState', () => findVmState(image));
  for (const snapshot of someSnapshots(image)) {
    const onLost = (): void => undefined;
    for (const salvaging of [{}, { onLost }]) {
      const state = await meter.use('openVmState', () => opened(image, snapshot, salvaging));
      if (state === undefined) break;
      await ask(state, meter);
      await state.close();
    }
  }
}

function opened(
  image: OpenImage,
  snapshot: Snapshot,
  salvaging: { readonly onLost?: () => void },
): Promise<VmState> {
  return openVmState(image, snapshot, { ...salvaging, decompressor: nodeDecompressor() });
}

async function ask(state: VmState, meter: Meter): Promise<void> {
  const { survey, source } = state;
  for (const { at, text } of survey.problems) {
    judgeText('VM state', text, meter);
    if (at < 0) meter.fault('VM state', `a problem at ${at}`);
  }
  if (survey.parsedTo > source.mappedBytes) {
    meter.fault('VM state', `parsed to ${survey.parsedTo} of ${source.mappedBytes}`);
  }
  const cpus = await meter.use('registers', () => state.registers());
  const map = await meter.use('memoryMap', () => state.memoryMap());
  const [block] = survey.blocks;
  if (block !== undefined) {
    const length = Math.min(block.bytes, READ_BYTES);
    await meter.use('readMemory of a block', () =>
      state.readMemory(placesInBlock(block, 0, length), length),
    );
  }
  await readScreen(state, meter);
  await readFile('raw memory', state, meter, () => rawMemoryFile(survey.blocks));
  if (map === undefined) return;
  judgeMap(map, meter);
  for (const doubt of map.doubts) judgeText('memoryMap', doubt, meter);
  await meter.use('readMemory', async () => state.readMemory(placesAt(map, 0x7c00, 512), 512));
  for (const [name, file] of [
    ['padded memory', paddedMemoryFile],
    ['LiME memory', limeMemoryFile],
    ['ELF memory', (one: MemoryMap) => elfMemoryFile(one, cpus ?? [])],
  ] as const) {
    await meter.use(name, () => {
      judgeFile(name, file(map), meter);
      return Promise.resolve();
    });
  }
}

/** Ascending, without overlaps. */
function judgeMap({ ranges }: MemoryMap, meter: Meter): void {
  let end = 0;
  for (const { address, bytes, offset, block } of ranges) {
    const isOfBlock = offset >= 0 && bytes > 0 && offset + bytes <= block.bytes;
    if (address < end || !isOfBlock) {
      meter.fault('memoryMap', `a range of ${bytes} at ${address}, behind ${end}`);
    }
    end = address + bytes;
  }
}

function judgeFile(name: string, { fileBytes, heads, placements }: MemoryFile, meter: Meter): void {
  const ends = [
    ...heads.map(({ at, bytes }) => at + bytes.length),
    ...placements.map(({ fileAt, bytes }) => fileAt + bytes),
  ];
  if (ends.some((end) => !(end <= fileBytes))) meter.fault(name, 'more than the file has');
}

async function readScreen(state: VmState, meter: Meter): Promise<void> {
  const screen = await meter.use('screen', () => state.screen());
  if (screen === undefined) return;
  if (screen.kind === 'text') for (const line of screen.lines) judgeText('screen', line, meter);
  const { picture } = screen;
  if (picture === undefined) return;
  const { width, height, rgb } = picture;
  const isSound = Number.isSafeInteger(width) && Number.isSafeInteger(height);
  if (!isSound || rgb.length !== width * height * 3) {
    meter.fault('screen', `${rgb.length} bytes of ${width} × ${height}`);
  }
}

/** Passes over the pages as a file of memory is written. */
async function readFile(
  name: string,
  state: VmState,
  meter: Meter,
  make: () => MemoryFile,
): Promise<void> {
  await meter.use(name, async () => {
    const file = make();
    judgeFile(name, file, meter);
    let read = 0;
    for await (const placed of state.memory(file.placements)) {
      for (const { at, bytes } of placed) {
        read += bytes.length;
        if (at < 0 || at + bytes.length > file.fileBytes) throw new Error(`a page at ${at}`);
      }
      if (read > MEMORY_BYTES) return;
    }
  });
}
