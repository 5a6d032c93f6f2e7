import { expect } from 'vitest';
import { isQsnapError, type QsnapError } from '../../src/errors.js';
import { memoryDevice } from '../../src/io/memory.js';
import { newSha256 } from '../../src/node/sha256.js';
import { executePlan } from '../../src/edit/tx/execute.js';
import type { WritePlan } from '../../src/edit/tx/plan.js';
import { saveUndo } from '../../src/edit/tx/save-undo.js';
import { executeUndo } from '../../src/edit/tx/undo.js';
import { recordingDevice, type RecordingDevice } from './recording-device.js';
import { madeOn } from './plans.js';

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export interface Refused {
  readonly error: QsnapError;
  readonly device: RecordingDevice;
}

/** Undoes by the file, which must be refused before anything is written. */
export async function refusedOf(file: Uint8Array, image: Uint8Array): Promise<Refused> {
  const device = recordingDevice(image);
  const error = await executeUndo(device, memoryDevice(file), newSha256).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!isQsnapError(error)) throw new Error(`it was not refused: ${String(error)}`);
  expect(writesOf(device)).toEqual([]);
  return { error, device };
}

export function writesOf(device: RecordingDevice): RecordingDevice['log'] {
  return device.log.filter(({ kind }) => kind !== 'read' && kind !== 'flush');
}

export interface Edited {
  readonly before: Uint8Array;
  readonly after: Uint8Array;
  readonly undoFile: Uint8Array;
}

export async function edited(bytes: Uint8Array, plan: WritePlan): Promise<Edited> {
  const device = memoryDevice(bytes);
  const file = memoryDevice(new Uint8Array(0));
  await saveUndo(device, plan, file, newSha256, { image: 'disk.qcow2', operation: 'repair' });
  await executePlan(madeOn(device, plan));
  return { before: bytes, after: device.snapshotBytes(), undoFile: file.snapshotBytes() };
}

/** An edit of six sectors: two tables, one behind the end of the file, a sector given back, and one left free. */
export function smallEdit(): Promise<Edited> {
  const bytes = Uint8Array.from({ length: 6 * 512 }, (_, i) => 1 + (i % 251));
  const literal = (at: number) => ({
    kind: 'literal' as const,
    what: 'active L1',
    at,
    bytes: new Uint8Array(512).fill(7),
  });
  return edited(bytes, {
    headerSector: bytes.slice(0, 512),
    fileSizeBytes: bytes.length,
    shadow: [literal(1024), literal(3072)],
    switch: { at: 24, bytes: new Uint8Array(72).fill(9) },
    freed: [{ at: 2560, length: 512 }],
    punch: [{ at: 2048, length: 512 }],
  });
}

/** Paths to every value in some JSON. */
export function pathsOf(
  value: Json,
  path: readonly (string | number)[] = [],
): (string | number)[][] {
  const here = [[...path]];
  if (Array.isArray(value)) return [...here, ...value.flatMap((v, i) => pathsOf(v, [...path, i]))];
  if (value === null || typeof value !== 'object') return here;
  return [...here, ...Object.entries(value).flatMap(([key, v]) => pathsOf(v, [...path, key]))];
}

/** The same JSON with another value at `path`; without it where the value is undefined. */
export function changed(
  value: Json,
  [first, ...rest]: (string | number)[],
  to: Json | undefined,
): Json {
  if (first === undefined) return to ?? null;
  const copy = structuredClone(value) as Record<string | number, Json>;
  if (rest.length > 0) copy[first] = changed(copy[first]!, rest, to);
  else if (to !== undefined) copy[first] = to;
  else if (Array.isArray(copy)) copy.splice(Number(first), 1);
  else Reflect.deleteProperty(copy, first);
  return copy;
}
