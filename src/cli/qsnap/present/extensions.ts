import type { HeaderExtension } from '../../../index.js';

const TITLES: Record<HeaderExtension['kind'], string> = {
  'backing-format': 'backing format',
  'feature-names': 'feature names',
  bitmaps: 'bitmaps',
  'encryption-header': 'encryption header',
  'data-file-name': 'data file name',
  unknown: 'unknown',
};

/** What a header extension is called. */
export function extensionTitle(extension: HeaderExtension): string {
  return TITLES[extension.kind];
}
