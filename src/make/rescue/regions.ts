import type { RescueHead } from './head.js';

/** What the copy keeps at its place besides guest data: the header of a LUKS encryption. */
export function regionsKept({
  extensions,
}: RescueHead): readonly { readonly at: number; readonly bytes: number }[] {
  return extensions.flatMap((extension) =>
    extension.kind === 'encryption-header' ? [extension.header] : [],
  );
}
