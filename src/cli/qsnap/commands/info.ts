import type { ExitCode } from '../../exit-codes.js';
import type { Context } from '../context.js';
import { infoJson } from '../present/info-json.js';
import { infoLines } from '../present/info-text.js';
import { tellOfImages } from '../reading.js';

/** `qsnap info IMAGE…` */
export function info(paths: readonly string[], context: Context): Promise<ExitCode> {
  return tellOfImages(paths, context, async ({ path, image, source }) => {
    const allocatedBytes = await source.allocatedBytes();
    return {
      json: infoJson(image, allocatedBytes),
      lines: infoLines(path, image, allocatedBytes),
    };
  });
}
