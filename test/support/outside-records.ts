/** Edits of the built programs with their plans and the system calls that they make. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { planJson } from '../../src/cli/qsnap/present/plan-json.js';
import { memoryDevice, openImage, planResize } from '../../src/index.js';
import { qsnap } from '../cli/qsnap/harness.js';
import { readPlain } from './crash-judge-image.js';
import { temporaryDirectory } from './directories.js';
import { commandOf, settle, type OutsideEdit, type Workplace } from './outside-edits.js';
import type { PlannedWrites } from './outside-flushes.js';
import { startingImage } from './outside-images.js';
import type { PlannedStages } from './outside-stages.js';
import { NAMING_CALLS, traced, WRITING_CALLS, type SystemCall } from './strace.js';

/** The plan as `--dry-run --json` prints it; undefined where the program has no such option. */
async function planned(
  edit: OutsideEdit,
  place: Workplace,
): Promise<PlannedWrites | PlannedStages | undefined> {
  if (edit.name.startsWith('resize')) {
    const image = await openImage(memoryDevice(new Uint8Array(readFileSync(place.image))));
    // Where zeros have to hide a backing file, the plan depends on how long that one is.
    if (image.backingNameBytes !== undefined) return undefined;
    const { diskSizeBytes } = readPlain(readFileSync(place.image));
    const size = edit.name === 'resize' ? diskSizeBytes + 3 * 2 ** 20 : 65536;
    const plan = await planResize(image, { diskSizeBytes: size, shrink: true });
    return planJson(plan) as unknown as PlannedWrites;
  }
  if (edit.program !== 'qsnap' || edit.name === 'undo' || edit.output !== undefined) {
    return undefined;
  }
  const words = edit.argv(place).filter((word) => !/undo$/.test(word));
  const { stdout, stderr } = await qsnap(['--json', ...words, '-n']);
  const { plan } = JSON.parse(stdout) as { plan?: PlannedWrites | PlannedStages };
  if (plan === undefined) throw new Error(stderr);
  return plan;
}

export interface Recorded {
  readonly place: Workplace;
  readonly plan: PlannedWrites | PlannedStages | undefined;
  readonly calls: readonly SystemCall[];
}

export async function record(kind: string, edit: OutsideEdit, seed: number): Promise<Recorded> {
  const place = settle(temporaryDirectory(), kind, startingImage(kind, edit.on, seed));
  if (edit.on === 'repaired') {
    const undo = path.join(place.folder, 'undo');
    expect((await qsnap(['repair', '--undo', undo, place.image])).code).toBe(0);
  }
  const plan = await planned(edit, place);
  const { code, stderr, calls } = await traced(commandOf(edit, place), {
    calls: [...WRITING_CALLS, ...NAMING_CALLS],
  });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return { place, plan, calls };
}

/**
 * The calls of an edit on the image since it made durable what it found: it writes the bytes of the header that it may
 * change as they are, and flushes. An undoing does that again before it sends the old header.
 */
export function callsOfEdit(
  calls: readonly SystemCall[],
  { image }: Workplace,
  { name }: OutsideEdit,
): readonly SystemCall[] {
  const [first, second, ...others] = calls.filter((call) => call.file === image && !isNaming(call));
  expect(first).toMatchObject({
    name: 'pwrite64',
    args: expect.stringMatching(/, 72, 24$/) as string,
  });
  expect(second).toMatchObject({ name: 'fdatasync', result: 0 });
  expect(second!.began).toBeGreaterThan(first!.over);
  const isHeader = (call: SystemCall): boolean => call.args.endsWith(', 72, 24');
  const again = name === 'undo' ? others.findIndex(isHeader) : -1;
  return others.filter((_, i) => i !== again);
}

export const isNaming = ({ name }: SystemCall): boolean => NAMING_CALLS.includes(name);
