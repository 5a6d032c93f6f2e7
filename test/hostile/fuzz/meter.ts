/**
 * Holds every use of a specimen to its bounds: time, bytes read, and memory, asked for and resident.
 * SECURITY.md states the bounds.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { isQsnapError } from '../../../src/errors.js';
import type { Specimen } from './specimen.js';

const MiB = 2 ** 20;

/** What one use of a file may cost, whatever the file claims. */
export interface Bounds {
  /** CPU time, in ms. */
  readonly cpuMs: number;
  /** Longest single piece of memory that is asked for. */
  readonly pieceBytes: number;
  /** Growth of the resident set while the use lasts, garbage included. */
  readonly residentBytes: number;
}

/**
 * A file costs by its length, its holes included, in clusters; the clusters of one that is too
 * damaged to tell count as the smallest.
 */
export function boundsOf({ bytes, sizeBytes }: Specimen): Bounds {
  const bits = bytes.length < 24 ? 9 : Buffer.from(bytes.buffer, bytes.byteOffset).readUInt32BE(20);
  const clusterBytes = 2 ** (bits >= 9 && bits <= 21 ? bits : 9);
  // Beyond the limit of host clusters nothing is counted: the image is refused.
  const clusters = Math.min(Math.ceil(sizeBytes / clusterBytes), 2 ** 30);
  return {
    cpuMs: 20_000 + (bytes.length / MiB) * 1_000 + clusters / 2 ** 13,
    pieceBytes: 64 * MiB + 4 * clusters + 4 * bytes.length,
    residentBytes: 512 * MiB + 8 * clusters + 8 * bytes.length,
  };
}

/** The costliest use that was seen, per measure. */
export interface Peaks {
  cpuMs: number;
  pieceBytes: number;
  residentBytes: number;
}

const TYPED = ['Uint8Array', 'Uint16Array', 'Uint32Array', 'Int32Array', 'Float64Array'] as const;
let largestPiece = 0;

/** From now on the longest typed array that anything in this thread asks for is known. */
export function watchTypedArrays(): void {
  const globals = globalThis as unknown as Record<string, new (...parts: unknown[]) => object>;
  for (const name of [...TYPED, 'BigUint64Array']) {
    const original = globals[name]!;
    const unit = (original as unknown as { BYTES_PER_ELEMENT: number }).BYTES_PER_ELEMENT;
    globals[name] = new Proxy(original, {
      construct: (target, parts: unknown[], newTarget) => {
        if (typeof parts[0] === 'number') {
          const bytes = parts[0] * unit;
          if (bytes > largestPiece) largestPiece = bytes;
        }
        return Reflect.construct(target, parts, newTarget) as object;
      },
    });
  }
}

const isLinux = process.platform === 'linux';

/** Resident bytes, now and at their highest since `forgetPeak`; 0 where the system does not tell. */
function resident(): { readonly now: number; readonly peak: number } {
  if (!isLinux) return { now: 0, peak: 0 };
  const status = readFileSync('/proc/self/status', 'utf8');
  const kib = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]);
  return { now: kib('VmRSS') * 1024, peak: kib('VmHWM') * 1024 };
}

function forgetPeak(): void {
  if (isLinux) writeFileSync('/proc/self/clear_refs', '5');
}

/** Runs the uses of one specimen and keeps what they did wrong. */
export class Meter {
  readonly faults: string[] = [];
  readonly refusals = new Set<string>();
  uses = 0;
  readonly #bounds: Bounds;
  readonly #peaks: Peaks;

  constructor(specimen: Specimen, peaks: Peaks) {
    this.#bounds = boundsOf(specimen);
    this.#peaks = peaks;
  }

  fault(name: string, what: string): void {
    this.faults.push(`${name}: ${what}`);
  }

  /** Runs one use; undefined where it was refused, and rightly, with a QsnapError. */
  async use<T>(name: string, work: () => Promise<T>): Promise<T | undefined> {
    this.uses += 1;
    largestPiece = 0;
    forgetPeak();
    const before = resident().now;
    const cpu = process.cpuUsage();
    try {
      return await work();
    } catch (error) {
      if (isQsnapError(error) && error.kind !== 'internal') this.refusals.add(error.code);
      else this.fault(name, error instanceof Error ? String(error.stack) : String(error));
      return undefined;
    } finally {
      const { user, system } = process.cpuUsage(cpu);
      this.#hold(name, 'cpuMs', (user + system) / 1000);
      this.#hold(name, 'pieceBytes', largestPiece);
      this.#hold(name, 'residentBytes', Math.max(0, resident().peak - before));
    }
  }

  /** Many uses in a row: what escapes them is a fault of the fuzzer, or of the engine between them. */
  async whole<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      this.fault('between uses', error instanceof Error ? String(error.stack) : String(error));
      return undefined;
    }
  }

  #hold(name: string, measure: keyof Bounds, value: number): void {
    this.#peaks[measure] = Math.max(this.#peaks[measure], value);
    const bound = this.#bounds[measure];
    if (value > bound) {
      this.fault(
        name,
        `${measure} ${Math.round(value)} is above the bound of ${Math.round(bound)}`,
      );
    }
  }
}
