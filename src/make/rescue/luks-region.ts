import type { RescueHead } from './head.js';

/** The place of the LUKS header, if there is one. The copy keeps it there, as it keeps guest data. */
export function luksRegions({
  extensions,
}: RescueHead): readonly { readonly at: number; readonly bytes: number }[] {
  return extensions.flatMap((extension) =>
    extension.kind === 'encryption-header' ? [extension.header] : [],
  );
}
