import { openImage } from '../image/open.js';
import { planTrim, type TrimPlan } from '../edit/trim/plan-trim.js';
import { trimImage, type TrimReport } from '../edit/trim/trim-image.js';
import type { ImageWork } from './image-work.js';
import { refuseWrong, TRIM, WORK } from './known-options.js';
import type { EditOptions, TrimmingOptions, WorkOptions } from './options.js';

/** What a trim would give back. */
export function plannedTrim(work: ImageWork, options: WorkOptions): Promise<TrimPlan> {
  refuseWrong(options, WORK);
  return work.queued(options, async () => planTrim(await openImage(work.source), options));
}

/** Trims when its turn comes. */
export function trimmed(
  work: ImageWork,
  options: TrimmingOptions & EditOptions,
): Promise<TrimReport> {
  refuseWrong(options, TRIM);
  const { device, current } = work;
  const { relocate, verify, signal, onProgress } = options;
  return work.queued(options, async () => {
    const { done } = await current.after(() =>
      trimImage(device, {
        ...{ relocate, verify, signal },
        onProgress: (_, done, total) => onProgress?.({ phase: 'writing', done, total }),
      }),
    );
    return done;
  });
}
