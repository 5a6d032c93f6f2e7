/** Changes of bitmaps: single ones, and several in a row. */
import type { BitmapAction } from '../../src/index.js';

export const BITMAP_CHANGES: Readonly<Record<string, readonly BitmapAction[]>> = {
  'one is added': [{ kind: 'add', name: 'new' }],
  'a fine one with a long name is added': [
    { kind: 'add', name: 'n'.repeat(1023), granularityBytes: 512, enabled: false },
  ],
  'all are removed': [{ kind: 'remove-all' }],
  'one is cleared': [{ kind: 'clear', name: 'daily' }],
  'one is disabled': [{ kind: 'disable', name: 'daily' }],
  'one is replaced': [
    { kind: 'remove', name: 'daily' },
    { kind: 'add', name: 'daily' },
  ],
  'one is merged into a finer one': [
    { kind: 'add', name: 'sum', granularityBytes: 1024 },
    { kind: 'merge', name: 'sum', from: 'daily' },
  ],
  'one is merged into another': [{ kind: 'merge', name: 'weekly', from: 'daily' }],
};
