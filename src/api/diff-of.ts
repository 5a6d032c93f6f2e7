import type { ReadableImage } from '../image/open-for-reading.js';
import { settled } from '../io/settled.js';
import type { Snapshot } from '../qcow2/snapshot-table.js';
import type { DiffContent } from '../read/diff/compare-content.js';
import { diffDisks } from '../read/diff/diff-disks.js';
import type { DiffRange } from '../read/diff/diff-range.js';
import { readableSnapshot } from './current-image.js';
import type { ImageWork } from './image-work.js';
import type { OpenDisks } from './open-disks.js';
import type { DiskDiffOptions, SnapshotChoice } from './options.js';
import type { QcowDisk } from './qcow-disk.js';

/** What an image has for a diff. */
export interface DiffParts {
  readonly work: ImageWork;
  readonly disks: OpenDisks;
}

/**
 * Differences in batches. Each batch is a piece of work of its own: edits have their turn in between, and the next batch
 * is refused then.
 *
 * @throws QsnapError as `QcowImage.diff`.
 */
export async function* diffOf(
  { work, disks }: DiffParts,
  choices: readonly [SnapshotChoice | undefined, SnapshotChoice | undefined],
  options: DiskDiffOptions,
): AsyncGenerator<readonly DiffRange[], void, undefined> {
  const { signal, onProgress, content } = options;
  const opened: QcowDisk[] = [];
  let batches: ReturnType<typeof diffDisks> | undefined;
  try {
    batches = await work.queued(options, async () => {
      const image = await work.current.fresh();
      const [a, b] = choices.map((choice) => snapshotOf(image, choice));
      if (content === true) {
        for (const snapshot of [a, b]) opened.push(await disks.open(image, snapshot, options));
      }
      return diffDisks(image, a, b, {
        signal,
        content: contentOf(opened),
        onProgress: (done, total) => onProgress?.({ phase: 'reading', done, total }),
      });
    });
    for (;;) {
      const next = await work.queued(options, () => batches!.next());
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    await batches?.return();
    await settled(opened.map((disk) => disk.close()));
  }
}

function snapshotOf(
  image: ReadableImage,
  choice: SnapshotChoice | undefined,
): Snapshot | undefined {
  return choice === undefined ? undefined : readableSnapshot(image, choice);
}

function contentOf([a, b]: readonly QcowDisk[]): DiffContent | undefined {
  return a === undefined || b === undefined ? undefined : { a: a.guest, b: b.guest };
}
