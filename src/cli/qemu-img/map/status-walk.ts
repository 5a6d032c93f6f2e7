import { isQsnapError, type GuestDisk, type QsnapError } from '../../../index.js';
import { statusRuns, type StatusRun } from './status-runs.js';

/** The runs of a disk, asked for by ascending offsets. */
export class StatusWalk {
  readonly #runs: AsyncIterator<StatusRun>;
  #current: StatusRun | undefined;
  #failure: QsnapError | undefined;

  constructor(disk: GuestDisk, asked: 'all' | 'first') {
    this.#runs = statusRuns(disk, asked)[Symbol.asyncIterator]();
  }

  /** The run that holds `at`, or why it can't be told; undefined past the end of the disk. */
  async runAt(at: number): Promise<StatusRun | QsnapError | undefined> {
    while (
      this.#failure === undefined &&
      (this.#current === undefined || this.#current.end <= at)
    ) {
      try {
        const next = await this.#runs.next();
        if (next.done === true) return undefined;
        this.#current = next.value;
      } catch (error) {
        if (!isQsnapError(error)) throw error;
        this.#failure = error;
      }
    }
    return this.#failure ?? this.#current;
  }
}
