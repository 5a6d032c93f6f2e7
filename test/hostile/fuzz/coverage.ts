/** Which code has run: V8's own block coverage of the engine's sources. */
import { Session } from 'node:inspector';

interface Range {
  readonly startOffset: number;
  readonly endOffset: number;
  readonly count: number;
}

interface Script {
  readonly url: string;
  readonly functions: readonly { readonly ranges: readonly Range[] }[];
}

/** Of one source file: what has run, by character, and the blocks that V8 tells apart in it. */
interface Painted {
  ran: Uint8Array;
  readonly blocks: Set<string>;
}

/** Counts blocks of `src/` that have run, in this thread. */
export class Coverage {
  readonly #session = new Session();
  readonly #scripts = new Map<string, Painted>();

  static start(): Coverage {
    const coverage = new Coverage();
    coverage.#session.connect();
    coverage.#post('Profiler.enable');
    coverage.#post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
    return coverage;
  }

  stop(): void {
    this.#post('Profiler.stopPreciseCoverage');
    this.#session.disconnect();
  }

  /** Adds what ran since the last call; returns how many characters of code ran for the first time. */
  take(): number {
    const { result } = this.#post('Profiler.takePreciseCoverage') as { result: Script[] };
    let fresh = 0;
    for (const script of result) {
      if (/\/src\/[^?]*\.[jt]s/.test(script.url)) fresh += this.#paint(script);
    }
    return fresh;
  }

  /** Blocks that have run, and all that were ever seen, run or not. */
  blocks(): { readonly covered: number; readonly known: number } {
    let [covered, known] = [0, 0];
    for (const { ran, blocks } of this.#scripts.values()) {
      known += blocks.size;
      for (const block of blocks) covered += ran[Number(block.split('-')[0])]!;
    }
    return { covered, known };
  }

  #paint({ url, functions }: Script): number {
    const ranges = functions.flatMap((one) => one.ranges);
    const end = Math.max(...ranges.map(({ endOffset }) => endOffset));
    const painted = this.#scripts.get(url) ?? { ran: new Uint8Array(end), blocks: new Set() };
    this.#scripts.set(url, painted);
    if (painted.ran.length < end) {
      const longer = new Uint8Array(end);
      longer.set(painted.ran);
      painted.ran = longer;
    }
    const now = new Uint8Array(end);
    // A function comes before those within it, a block before its parts: the innermost is right.
    for (const { startOffset, endOffset, count } of ranges.sort(outerFirst)) {
      now.fill(count > 0 ? 1 : 0, startOffset, endOffset);
      painted.blocks.add(`${startOffset}-${endOffset}`);
    }
    let fresh = 0;
    for (let i = 0; i < end; i++) {
      if (now[i]! > painted.ran[i]!) {
        painted.ran[i] = 1;
        fresh += 1;
      }
    }
    return fresh;
  }

  #post(method: string, parameters: object = {}): unknown {
    let outcome: unknown;
    this.#session.post(method, parameters, (error: Error | null, result?: object) => {
      if (error !== null) throw new Error(`${method}: ${JSON.stringify(error)}`);
      outcome = result;
    });
    return outcome;
  }
}

function outerFirst(a: Range, b: Range): number {
  return a.startOffset - b.startOffset || b.endOffset - a.endOffset;
}
