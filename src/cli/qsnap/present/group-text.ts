import type { DoneGroupEdit, DoneImage, GroupRequest, PlannedGroupEdit } from '../../../index.js';
import { printableText } from '../../../internal.js';
import { countText } from '../../text.js';
import { appliedLines, createdLines, deletedLines, mendedLines } from './edit-text.js';
import { dryRunLines } from './plan-text.js';

/** Said where no edit was cut. */
export const NOTHING_TO_RESUME = 'No edit of this group is unfinished: nothing was done.';

/** What is said when an edit of a group is done: the lines of each image, and their sum. */
export function groupDoneLines({ request, images, haveIt }: DoneGroupEdit): readonly string[] {
  return [
    ...images.flatMap((image) => [...doneLines(request, image), ...mendedLines(image.plan)]),
    ...haveIt.map((file) => `${printableText(file)} had it already.`),
    sumLine(request, images.length + haveIt.length),
  ];
}

function doneLines(
  { operation }: GroupRequest,
  { file, chosen, plan, report, image }: DoneImage,
): readonly string[] {
  switch (operation) {
    case 'create':
      return createdLines(file, plan);
    case 'apply':
      return appliedLines(file, chosen[0]!, plan, report, image);
    case 'delete':
      return deletedLines(file, chosen, plan, report, image);
  }
}

function sumLine(request: GroupRequest, images: number): string {
  const all = images === 1 ? 'The image' : images === 2 ? 'Both images' : `All ${images} images`;
  const verb = (one: string, many: string): string => (images === 1 ? one : many);
  const quoted = (name: string): string => `"${printableText(name)}"`;
  switch (request.operation) {
    case 'create':
      return `${all} ${verb('has', 'have')} ${quoted(request.name)} now.`;
    case 'apply':
      return `${all} ${verb('stands', 'stand')} on ${quoted(request.snapshot)} now.`;
    case 'delete': {
      const { length } = request.snapshots;
      const what = length === 1 ? quoted(request.snapshots[0]!) : countText(length, 'snapshot');
      return `${all} ${verb('is', 'are')} without ${what} now.`;
    }
  }
}

/** The plans of an edit of a group, one after the other. */
export function groupDryRunLines({ images, haveIt }: PlannedGroupEdit): readonly string[] {
  const plans = images.map(({ file, plan, image }) => dryRunLines(file, plan, image));
  return [
    ...plans.flatMap((lines, i) => (i === 0 ? lines : ['', ...lines])),
    ...haveIt.map((file) => `${printableText(file)} has it already.`),
  ];
}
