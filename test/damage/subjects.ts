/** Programs that check and repair, behind one face: the engine, and QEMU to compare it with. */
import { writeFileSync } from 'node:fs';
import {
  checkImage,
  executePlan,
  isQsnapError,
  memoryDevice,
  proposeRepair,
} from '../../src/index.js';
import { parseRepairWords } from '../../src/internal.js';
import { readLeft, runLimited } from './qemu-tools.js';

export interface Verdict {
  /** Exit code of the check; undefined where it found nothing to check. */
  readonly code: number | undefined;
  /** Codes of findings, or the error, to read. */
  readonly said: string;
}

export interface Mended {
  readonly before: Verdict;
  /** Undefined where the repair was refused: the bytes are then as they were. */
  readonly bytes: Uint8Array | undefined;
  readonly after: Verdict;
  /** What must never happen, whatever the image: an error that is no refusal, bytes changed by one. */
  readonly fault?: string;
  /** QEMU alone: it ended by a signal or not in time, or left a file too large to look at. */
  readonly isUnjudged?: boolean;
}

/** Whether a check calls an image sound: leaks alone put no data at risk, by what they mean. */
export const isCalledSound = ({ code }: Verdict): boolean => code === 0 || code === 3;

/** @param words classes and findings as `qsnap repair` takes them; none is class `all`. */
export async function mendByQsnap(
  bytes: Uint8Array,
  words: readonly string[] = [],
): Promise<Mended> {
  const device = memoryDevice(bytes, 'damaged');
  let before: Verdict = { code: undefined, said: '' };
  try {
    before = await verdict(bytes);
    const { plan } = await proposeRepair(device, () => parseRepairWords(words));
    if (plan === undefined) return { before, bytes, after: before };
    await executePlan(plan);
    const mended = device.snapshotBytes();
    return { before, bytes: mended, after: await verdict(mended) };
  } catch (error) {
    const refused = isQsnapError(error) && error.kind !== 'internal';
    const isUnchanged = Buffer.compare(device.snapshotBytes(), bytes) === 0;
    const fault = refused
      ? 'bytes changed by a repair that was refused'
      : String((error as Error).stack);
    const after = { code: undefined, said: isQsnapError(error) ? error.code : 'error' };
    return { before, bytes: undefined, after, ...(!(refused && isUnchanged) && { fault }) };
  }
}

async function verdict(bytes: Uint8Array): Promise<Verdict> {
  try {
    const { exitCode, findings } = await checkImage(memoryDevice(bytes));
    const codes = [...new Set(findings.map(({ code }) => code))].join(' ');
    return { code: exitCode, said: `${exitCode} ${codes}` };
  } catch (error) {
    if (!isQsnapError(error) || error.kind === 'internal') throw error;
    return { code: undefined, said: error.code };
  }
}

/** `qemu-img check`, then `-r all`, then a check again; `path` may be written to. */
export async function mendByQemu(bytes: Uint8Array, path: string): Promise<Mended> {
  writeFileSync(path, bytes);
  const before = await runLimited('qemu-img', ['check', '-f', 'qcow2', path]);
  const repair = await runLimited('qemu-img', ['check', '-r', 'all', '-f', 'qcow2', path]);
  const after = await runLimited('qemu-img', ['check', '-f', 'qcow2', path]);
  const verdictOf = ({ code, output }: { code: number; output: string }): Verdict => ({
    code: code <= 3 && code !== 1 ? code : undefined,
    said: `${code} ${output.split('\n', 1)[0]!}`,
  });
  const left = readLeft(path);
  return {
    before: verdictOf(before),
    bytes: left,
    after: verdictOf(after),
    isUnjudged: left === undefined || [before, repair, after].some(({ isLost }) => isLost),
  };
}

/** Errors that QEMU finds in an image; undefined where it finds none, or no verdict. */
export async function errorsByQemu(path: string): Promise<string | undefined> {
  const { code, output, isLost } = await runLimited('qemu-img', ['check', '-f', 'qcow2', path]);
  return isLost || code === 0 || code === 3 ? undefined : output.slice(0, 300);
}
