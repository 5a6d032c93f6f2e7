import type { ExitCode } from '../../exit-codes.js';
import type { Context } from '../context.js';
import { infoJson } from '../present/info-json.js';
import { infoLines } from '../present/info-text.js';
import { tellOfImages } from '../reading.js';
import { lacks, unreadJson } from '../unread.js';

/** What `info` has more to tell of than where it lies. */
const TOLD = ['snapshot table', 'snapshot', 'header extensions', 'bitmap directory'] as const;

/** `qsnap info IMAGE…` */
export function info(paths: readonly string[], context: Context): Promise<ExitCode> {
  return tellOfImages(paths, context, async ({ path, image, source }) => {
    const allocatedBytes = await source.allocatedBytes?.();
    return {
      json: { ...infoJson(image, allocatedBytes), ...unreadJson(image) },
      lines: infoLines(path, image, allocatedBytes),
      isWhole: !lacks(image, ...TOLD),
    };
  });
}
