import { openImage } from '../image/open.js';
import { planScrub, type ScrubPlan } from '../edit/scrub/plan-scrub.js';
import { scrubImage, type ScrubReport } from '../edit/scrub/scrub-image.js';
import type { ImageWork } from './image-work.js';
import { refuseWrong, SCRUB, WORK } from './known-options.js';
import type { EditOptions, ScrubbingOptions, WorkOptions } from './options.js';

/** What a scrub would make zeros of. */
export function plannedScrub(work: ImageWork, options: WorkOptions): Promise<ScrubPlan> {
  refuseWrong(options, WORK);
  return work.queued(options, async () => planScrub(await openImage(work.source), options));
}

/** Scrubs when its turn comes. */
export function scrubbed(
  work: ImageWork,
  options: ScrubbingOptions & EditOptions,
): Promise<ScrubReport> {
  refuseWrong(options, SCRUB);
  const { device, current } = work;
  const { punch, verify, signal, onProgress } = options;
  return work.queued(options, async () => {
    const { done } = await current.after(() =>
      scrubImage(device, {
        ...{ punch, verify, signal },
        onProgress: (now, done, total) =>
          onProgress?.({ phase: now === 'scrubbing' ? 'writing' : 'reading', done, total }),
      }),
    );
    return done;
  });
}
