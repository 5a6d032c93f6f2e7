import { inferAncestry, measureUsage } from '../../../index.js';
import { printableText } from '../../../internal.js';
import type { ExitCode } from '../../exit-codes.js';
import type { Context } from '../context.js';
import { treeJson } from '../present/tree-json.js';
import { treeRows } from '../present/tree-rows.js';
import { treeDot, treeSvg } from '../present/tree-pictures.js';
import { treeLines } from '../present/tree-text.js';
import { tellOfImages } from '../reading.js';
import { namedFiles } from '../named-files.js';
import { newTextFile } from '../text-file.js';
import { refuseUnreadImage } from '../unread.js';

/** Flags of `tree`. */
export interface TreeFlags {
  readonly dot?: boolean;
  readonly svg?: string;
  readonly force?: boolean;
}

/** `qsnap tree IMAGE…` */
export function tree(
  paths: readonly string[],
  { dot, svg, force }: TreeFlags,
  context: Context,
): Promise<ExitCode> {
  return tellOfImages(paths, context, async ({ path, image, source, progress }) => {
    refuseUnreadImage(image);
    const options = { replace: force === true, inputs: [source, ...namedFiles(image, path)] };
    const picture = svg === undefined ? undefined : await newTextFile(svg, options);
    try {
      progress.phase(`comparing the snapshots of ${path}`);
      const ancestry = await inferAncestry(
        await measureUsage(image, {
          onProgress: (done) => {
            progress.update(done, 1);
          },
        }),
      );
      const rows = treeRows(ancestry);
      await picture?.write(treeSvg(path, rows));
      const lines = dot === true ? treeDot(path, rows) : treeLines(ancestry, rows, context.style);
      const isNamed = paths.length > 1 && dot !== true;
      return {
        json: treeJson(ancestry),
        lines: isNamed ? [`${printableText(path)}:`, ...lines] : lines,
        isWhole: true,
      };
    } finally {
      await picture?.discard();
    }
  });
}
