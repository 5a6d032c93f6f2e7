import { MiB } from '../../base/units.js';
import type { Extent, GuestDisk } from '../../read/guest/disk.js';
import { ExtentCursor } from './extent-cursor.js';

/** Guest bytes that are read and compared together. */
const STEP_BYTES = 4 * MiB;
/** Where clusters are tiny and scattered, a step ends by its number of pieces. */
const STEP_PIECES = 16384;

/** Guest bytes from `from` up to `to` of which at least one disk has to be read. */
export interface ComparePiece {
  readonly from: number;
  readonly to: number;
  /** Which disk has data there; the other one is known to be zero. */
  readonly side: 'both' | 'a' | 'b';
}

/** What is compared together, and what needed no comparison on the way. */
export interface CompareStep {
  readonly pieces: readonly ComparePiece[];
  /** Guest bytes up to which all is compared when this step is. */
  readonly to: number;
  /** Of those that came before the end of this step: zero on both disks, or in the same place. */
  readonly zeroBytes: number;
  readonly sharedBytes: number;
}

/** The two disks, and whether the same place in their files is the same place. */
export interface ComparedDisks {
  readonly a: GuestDisk;
  readonly b: GuestDisk;
  readonly aBytes: number;
  readonly bBytes: number;
  /** They are disks of one image, over one chain of backing files. */
  readonly sameImage: boolean;
}

/** Both disks side by side, as steps. */
export async function* compareSteps(disks: ComparedDisks): AsyncGenerator<CompareStep> {
  const end = Math.max(disks.aBytes, disks.bBytes);
  const a = new ExtentCursor(disks.a, disks.aBytes, end);
  const b = new ExtentCursor(disks.b, disks.bBytes, end);
  const step = new OpenStep();
  try {
    let at = 0;
    while ((await a.refill()) && (await b.refill())) {
      while (a.extent !== undefined && b.extent !== undefined) {
        const aEnd = a.extent.start + a.extent.length;
        const bEnd = b.extent.start + b.extent.length;
        const to = Math.min(aEnd, bEnd, at + STEP_BYTES);
        const how = relationOf(a.extent, b.extent, disks.sameImage);
        // What needs no reading is passed over whole.
        const next = how === 'zero' || how === 'shared' ? Math.min(aEnd, bEnd) : to;
        step.add(at, next, how);
        at = next;
        if (at === aEnd) a.step();
        if (at === bEnd) b.step();
        if (step.isFull) yield step.take(at);
      }
    }
    yield step.take(at);
  } finally {
    await a.close();
    await b.close();
  }
}

type Relation = ComparePiece['side'] | 'zero' | 'shared';

class OpenStep {
  #pieces: { from: number; to: number; side: ComparePiece['side'] }[] = [];
  #bytes = 0;
  #zeroBytes = 0;
  #sharedBytes = 0;

  get isFull(): boolean {
    return this.#bytes >= STEP_BYTES || this.#pieces.length >= STEP_PIECES;
  }

  add(from: number, to: number, how: Relation): void {
    if (how === 'zero') this.#zeroBytes += to - from;
    else if (how === 'shared') this.#sharedBytes += to - from;
    else {
      this.#bytes += to - from;
      const last = this.#pieces.at(-1);
      if (last?.to === from && last.side === how) last.to = to;
      else this.#pieces.push({ from, to, side: how });
    }
  }

  take(to: number): CompareStep {
    const [pieces, zeroBytes, sharedBytes] = [this.#pieces, this.#zeroBytes, this.#sharedBytes];
    this.#pieces = [];
    this.#bytes = this.#zeroBytes = this.#sharedBytes = 0;
    return { pieces, to, zeroBytes, sharedBytes };
  }
}

function relationOf(a: Extent, b: Extent, sameImage: boolean): Relation {
  const aIsZero = isZeroKind(a);
  const bIsZero = isZeroKind(b);
  if (aIsZero && bIsZero) return 'zero';
  if (sameImage && isSamePlace(a, b)) return 'shared';
  if (aIsZero) return 'b';
  return bIsZero ? 'a' : 'both';
}

function isZeroKind({ kind }: Extent): boolean {
  return kind === 'zero' || kind === 'unallocated' || kind === 'preallocated';
}

/** Whether both leave a guest range to the same bytes, at the same place of the same file. */
function isSamePlace(a: Extent, b: Extent): boolean {
  if (a.kind !== b.kind || a.depth !== b.depth) return false;
  // The backing file that nobody opened has one content, whatever it is.
  if (a.kind === 'backing') return true;
  return a.at !== undefined && b.at !== undefined && a.at - a.start === b.at - b.start;
}
