import { isQsnapError, type FoundRecord, type ImageGroup } from '../../../index.js';
import { describeRequest, printableText } from '../../../internal.js';
import { openGroup } from '../../../node/index.js';
import { EXIT_CODES, type ExitCode } from '../../exit-codes.js';
import { startProgress } from '../../progress.js';
import { resumeCommand } from '../../resume-command.js';
import { countText, oneSafeLine } from '../../text.js';
import { printJson, printLines, printWarning, type Context } from '../context.js';
import { groupListJson } from '../present/group-json.js';
import { groupTableLines } from '../present/group-table.js';
import { errorJson, reportFailure } from '../report.js';
import { lacks, warnOfUnread } from '../unread.js';

/** `qsnap list --group IMAGE…` */
export async function listGroup(paths: readonly string[], context: Context): Promise<ExitCode> {
  const progress = startProgress(context.io.stderr, !context.quiet);
  progress.phase(`reading ${countText(paths.length, 'image')}`);
  try {
    const group = await openGroup(paths, { forceShare: context.forceShare });
    try {
      const unfinished = await unfinishedOf(group, context);
      const listing = await group.list();
      progress.stop();
      for (const { file, image } of listing.images) warnOfUnread(file, image, context);
      if (context.json) printJson(context, groupListJson(listing, unfinished));
      else printLines(context, groupTableLines(listing, context.style));
      const isWhole = listing.images.every(
        ({ image }) => !lacks(image, 'snapshot table', 'snapshot'),
      );
      return isWhole ? EXIT_CODES.done.code : EXIT_CODES.notDone.code;
    } finally {
      await group.close();
    }
  } catch (error) {
    progress.stop();
    const file = (isQsnapError(error) ? error.details.file : undefined) ?? paths[0]!;
    reportFailure(error, file, 'read', context);
    if (context.json) printJson(context, { error: errorJson(error, 'read') });
    return EXIT_CODES.notDone.code;
  }
}

/** What was cut is told even where it can't be read: the lists are there all the same. */
async function unfinishedOf(group: ImageGroup, context: Context): Promise<FoundRecord | undefined> {
  try {
    const found = await group.unfinished();
    if (found !== undefined) {
      const command = resumeCommand({ operation: found.request.operation, files: found.files });
      printWarning(
        context,
        `the ${describeRequest(found.request)} was cut and is unfinished: ` +
          `\`${oneSafeLine(command)}\` brings it to its end (${printableText(found.label)})`,
      );
    }
    return found;
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    const file = error.details.file;
    const prefix = file === undefined ? '' : `${printableText(file)}: `;
    printWarning(context, `${prefix}${oneSafeLine(error.message)}`);
    return undefined;
  }
}
