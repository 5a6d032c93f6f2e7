import { hinted } from '../../base/hints.js';
import { printableText } from '../../base/text.js';
import { QsnapError, type ErrorDetails } from '../../errors.js';
import type { FoundRecord, RecordedImage } from './record.js';
import type { GroupRequest } from './request.js';

/** An edit in words, as it stands after "the". */
export function describeRequest(request: GroupRequest): string {
  const quoted = (name: string): string => `"${printableText(name)}"`;
  switch (request.operation) {
    case 'create':
      return `create of ${quoted(request.name)}`;
    case 'apply':
      return `apply of ${quoted(request.snapshot)}`;
    case 'delete':
      return `delete of ${request.snapshots.map(quoted).join(', ')}`;
  }
}

/** Said to who begins another edit while one is unfinished. */
export function unfinished(found: FoundRecord): QsnapError {
  const what = describeRequest(found.request);
  return new QsnapError(
    'GROUP_UNFINISHED',
    `the group edit before this one, the ${what}, was cut and is unfinished`,
    { ...about(found), ...hinted('resume-group') },
  );
}

/**
 * The images of an unfinished edit, where it is the one that is to be resumed.
 *
 * @throws QsnapError GROUP_UNFINISHED.
 */
export function refuseOtherEdit(
  found: FoundRecord,
  operation: GroupRequest['operation'] | undefined,
): readonly RecordedImage[] {
  const what = describeRequest(found.request);
  if (operation !== undefined && operation !== found.request.operation) {
    throw new QsnapError('GROUP_UNFINISHED', `the unfinished edit is a ${what}`, {
      ...about(found),
      expected: operation,
      actual: found.request.operation,
      ...hinted('resume-group'),
    });
  }
  if (found.images !== undefined) return found.images;
  throw new QsnapError('GROUP_UNFINISHED', `the unfinished ${what} is of other images`, {
    ...about(found),
    candidates: found.files,
    ...hinted('resume-group'),
  });
}

function about({
  label,
  request: { operation },
  files,
}: FoundRecord): Pick<ErrorDetails, 'file' | 'imageState' | 'unfinished'> {
  return { file: label, imageState: 'unchanged', unfinished: { operation, files } };
}
