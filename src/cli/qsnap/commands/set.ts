import {
  backingFormat,
  backingName,
  planBacking,
  type Image,
  type NewBacking,
} from '../../../index.js';
import { completeHeader, printable, printableText } from '../../../internal.js';
import { EXIT_CODES, type ExitCode } from '../../exit-codes.js';
import { printWarning, type Context } from '../context.js';
import { edit, type EditFlags } from '../editing.js';
import { lookAtBacking } from '../new-backing.js';

/** Flags of `set`. */
export interface SetFlags extends EditFlags {
  /** Undefined: none. */
  readonly backing: string | undefined;
  readonly backingFormat?: string;
}

/** `qsnap set IMAGE --backing FILE` */
export async function setHeader(
  path: string,
  { backing, backingFormat: format, ...flags }: SetFlags,
  context: Context,
): Promise<ExitCode> {
  const wanted = backing === undefined ? undefined : { name: backing, format };
  let before: Image | undefined;
  let warnings: readonly string[] = [];
  const code = await edit(
    {
      path,
      flags,
      plan: async (image, { signal }) => {
        before = image;
        const plan = await planBacking(image, wanted);
        warnings = wanted === undefined ? [] : await lookAtBacking(image, wanted, signal);
        return plan;
      },
      complete: completeHeader,
      doneLines: () => [doneLine(path, wanted, before!)],
      plannedLines: (image) => [`The image ${wasText(image)}.`],
      moreJson: () => ({ before: backingJson(before!), after: newJson(wanted) }),
    },
    context,
  );
  if (code === EXIT_CODES.done.code) {
    for (const warning of warnings) printWarning(context, `${printableText(path)}: ${warning}`);
  }
  return code;
}

function doneLine(path: string, wanted: NewBacking | undefined, before: Image): string {
  const shown = printableText(path);
  return wanted === undefined
    ? `${shown} stands on no backing file now; it ${wasText(before)}.`
    : `${shown} stands on ${named(String(wanted.name), wanted.format)} now; it ${wasText(before)}.`;
}

/** What the image stood on. */
function wasText(image: Image): string {
  const { backingNameBytes } = image;
  return backingNameBytes === undefined
    ? 'had no backing file'
    : `stood on ${named(printable(backingNameBytes), backingFormat(image))}`;
}

function named(name: string, format: string | undefined): string {
  const note = format === undefined ? 'no format recorded' : printableText(format);
  return `"${printableText(name)}" (${note})`;
}

function backingJson(image: Image): Record<string, unknown> {
  const [name, format] = [backingName(image), backingFormat(image)];
  return {
    ...(name !== undefined && { 'backing-filename': name }),
    ...(format !== undefined && { 'backing-filename-format': format }),
  };
}

function newJson(wanted: NewBacking | undefined): Record<string, unknown> {
  return {
    ...(wanted !== undefined && { 'backing-filename': wanted.name }),
    ...(wanted?.format !== undefined && { 'backing-filename-format': wanted.format }),
  };
}
