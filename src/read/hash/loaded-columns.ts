import { newIoBytes } from '../../base/io-bytes.js';
import { MiB } from '../../base/units.js';
import { isQsnapError, type QsnapError } from '../../errors.js';
import { settled } from '../../io/settled.js';
import type { GuestDisk } from '../guest/disk.js';
import type { Column, Unit } from './unit-columns.js';

/** Distinct bytes and columns that are read together. Ours. */
const BATCH_BYTES = 4 * MiB;
const BATCH_COLUMNS = 4096;

/** Batches that hold bytes at a time: one is read while one is hashed. */
const BATCHES_AT_ONCE = 2;

/** Columns with the bytes of their units, until the next but one is asked for. */
export interface LoadedColumns {
  readonly columns: readonly Column[];
  /** Units of zeros have none. */
  readonly bytes: ReadonlyMap<Unit, Uint8Array>;
  /** Units that could not be read. */
  readonly failed: ReadonlyMap<Unit, QsnapError>;
}

/** Reads each distinct unit once, from the first disk that has it. */
export async function* loadedColumns(
  columns: AsyncIterable<Column>,
  disks: readonly GuestDisk[],
): AsyncGenerator<LoadedColumns> {
  const memories = Array.from({ length: BATCHES_AT_ONCE }, () => new Uint8Array(0));
  let turn = 0;
  let [batch, units, bytes]: [Column[], Set<Unit>, number] = [[], new Set(), 0];
  const load = async (): Promise<LoadedColumns> => {
    if (memories[turn]!.length < bytes) memories[turn] = newIoBytes(bytes);
    const loaded = await readUnits(units, memories[turn]!, disks);
    const done = { columns: batch, ...loaded };
    turn = (turn + 1) % BATCHES_AT_ONCE;
    [batch, units, bytes] = [[], new Set(), 0];
    return done;
  };
  for await (const column of columns) {
    batch.push(column);
    for (const unit of column) {
      if (unit === undefined || unit.isZero || unit.lost !== undefined || units.has(unit)) continue;
      units.add(unit);
      bytes += unit.length;
    }
    if (bytes >= BATCH_BYTES || batch.length >= BATCH_COLUMNS) yield await load();
  }
  if (batch.length > 0) yield await load();
}

interface Run {
  readonly at: number;
  readonly units: Unit[];
  into: Uint8Array;
}

async function readUnits(
  units: ReadonlySet<Unit>,
  memory: Uint8Array,
  disks: readonly GuestDisk[],
): Promise<Omit<LoadedColumns, 'columns'>> {
  const bytes = new Map<Unit, Uint8Array>();
  const failed = new Map<Unit, QsnapError>();
  // By disk, and then by place, so that neighbours are one request.
  const sorted = [...units].sort((a, b) => a.disk - b.disk || a.at - b.at);
  const runs = new Map<number, Run[]>();
  let used = 0;
  let last: Unit | undefined;
  for (const unit of sorted) {
    const into = memory.subarray(used, used + unit.length);
    bytes.set(unit, into);
    const ofDisk = runs.get(unit.disk) ?? [];
    runs.set(unit.disk, ofDisk);
    const run = ofDisk.at(-1);
    if (run !== undefined && last!.at + last!.length === unit.at) {
      run.units.push(unit);
      run.into = memory.subarray(run.into.byteOffset - memory.byteOffset, used + unit.length);
    } else ofDisk.push({ at: unit.at, units: [unit], into });
    used += unit.length;
    last = unit;
  }
  await settled(
    [...runs].map(async ([disk, ofDisk]) => {
      try {
        await disks[disk]!.readBatch(ofDisk.map(({ at, into }) => ({ at, into })));
      } catch (error) {
        if (!isDamage(error)) throw error;
        for (const unit of ofDisk.flatMap((run) => run.units)) {
          await readAlone(unit, bytes.get(unit)!, disks[disk]!, failed);
        }
      }
    }),
  );
  return { bytes, failed };
}

/** What was read together failed: which unit of it? */
async function readAlone(
  unit: Unit,
  into: Uint8Array,
  disk: GuestDisk,
  failed: Map<Unit, QsnapError>,
): Promise<void> {
  try {
    await disk.readBatch([{ at: unit.at, into }]);
  } catch (error) {
    if (!isDamage(error)) throw error;
    failed.set(unit, error);
  }
}

function isDamage(error: unknown): error is QsnapError {
  return isQsnapError(error) && error.code !== 'ABORTED' && error.code !== 'IMAGE_CHANGED';
}
