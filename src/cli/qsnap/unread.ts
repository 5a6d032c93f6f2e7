/** What could not be read of an image: said on stderr, and in JSON. */
import { type ReadableImage, type UnreadStructure } from '../../index.js';
import { printableText } from '../../internal.js';
import { oneSafeLine } from '../text.js';
import { printWarning, type Context } from './context.js';
import { errorJson } from './report.js';

/** Warns of everything that is missing. */
export function warnOfUnread(path: string, { unread }: ReadableImage, context: Context): void {
  for (const { reason } of unread) {
    printWarning(context, `${printableText(path)}: ${oneSafeLine(reason.message)}`);
  }
}

/** The `unread` member, where something is missing. docs/schema/unread.json. */
export function unreadJson({ unread }: Pick<ReadableImage, 'unread'>): {
  readonly unread?: readonly object[];
} {
  if (unread.length === 0) return {};
  return {
    unread: unread.map(({ structure, snapshot, reason }) => ({
      structure,
      ...(snapshot !== undefined && { snapshot }),
      reason: errorJson(reason, 'read'),
    })),
  };
}

/** Whether one of these structures is missing, or missing in part. */
export function lacks(
  { unread }: ReadableImage,
  ...structures: readonly UnreadStructure[]
): boolean {
  return unread.some(({ structure }) => structures.includes(structure));
}

/** For what makes no sense of a part of an image. @throws QsnapError why the image can't be read whole. */
export function refuseUnreadImage({ unread }: ReadableImage): void {
  const [first] = unread;
  if (first !== undefined) throw first.reason;
}
