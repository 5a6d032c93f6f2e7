import type { DoneGroupEdit, DoneImage, GroupRequest, PlannedGroupEdit } from '../../../index.js';
import { printableText } from '../../../internal.js';
import { countText } from '../../text.js';
import { stayingLines, type StayingInGroup } from '../staying-vm-state.js';
import { appliedLines, createdLines, deletedLines, mendedLines } from './edit-text.js';
import { dryRunLines } from './plan-text.js';

/** Said where no edit was cut. */
export const NOTHING_TO_RESUME = 'No edit of this group is unfinished: nothing was done.';

/** What is said when an edit of a group is done: the lines of each image, and their sum. */
export function groupDoneLines(done: DoneGroupEdit, stayingIn: StayingInGroup): readonly string[] {
  const { request, images, haveIt } = done;
  return [
    ...images.flatMap((image) => [
      ...doneLines(request, image),
      ...stayingLines(stayingIn(image) ?? []),
      ...mendedLines(image.plan),
    ]),
    ...haveIt.map((file) => `${printableText(file)} had it already.`),
    sumLine(done),
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

/** More names than these are counted. */
const NAMES_MAX = 5;

function sumLine(done: DoneGroupEdit): string {
  const images = done.images.length + done.haveIt.length;
  const all = images === 1 ? 'The image' : images === 2 ? 'Both images' : `All ${images} images`;
  const verb = (one: string, many: string): string => (images === 1 ? one : many);
  if (!isSureOf(done)) return `The edit is complete: ${all.toLowerCase()} had it.`;
  const names = listText(done.names);
  switch (done.request.operation) {
    case 'create':
      return `${all} ${verb('has', 'have')} ${names} now.`;
    case 'apply':
      return `${all} ${verb('stands', 'stand')} on ${names} now.`;
    case 'delete':
      return `${all} ${verb('is', 'are')} without ${names} now.`;
  }
}

function listText(names: readonly string[]): string {
  if (names.length > NAMES_MAX) return countText(names.length, 'snapshot');
  const quoted = names.map((name) => `"${printableText(name)}"`);
  return [quoted.slice(0, -1).join(', '), ...quoted.slice(-1)].filter(Boolean).join(' and ');
}

/** Whether the images are now what the edit made them: some had it before, and may have been edited since. */
function isSureOf({ request, names, images, haveIt, haveAnew }: DoneGroupEdit): boolean {
  switch (request.operation) {
    case 'create':
      return true;
    case 'apply':
      // What was saved tells that it was applied, and not what was done after it.
      return haveIt.length === 0 || request.saveAs === undefined;
    case 'delete':
      return (
        haveAnew.length === 0 &&
        images.every(({ image, chosen }) => {
          const gone = new Set(chosen.map(({ index }) => index));
          return !image.snapshots.some(
            ({ index, name }) => !gone.has(index) && names.includes(name),
          );
        })
      );
  }
}

/** The plans of an edit of a group, one after the other. */
export function groupDryRunLines(
  { images, haveIt }: PlannedGroupEdit,
  stayingIn: StayingInGroup,
): readonly string[] {
  const plans = images.map((one) => [
    ...dryRunLines(one.file, one.plan, one.image),
    ...stayingLines(stayingIn(one) ?? []),
  ]);
  return [
    ...plans.flatMap((lines, i) => (i === 0 ? lines : ['', ...lines])),
    ...haveIt.map((file) => `${printableText(file)} has it already.`),
  ];
}
