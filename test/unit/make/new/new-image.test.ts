import { expect, test } from 'vitest';
import { geometryOfNew } from '../../../../src/make/new/new-image.js';
import { PLAIN } from '../../../support/new-image.js';

test.each([
  [{ clusterBytes: 1000 }, 'cluster size'],
  [{ clusterBytes: 256 }, 'cluster size'],
  [{ clusterBytes: 2 ** 22 }, 'cluster size'],
  [{ refcountBits: 3 as 2 }, 'refcount width'],
  [{ version: 2 as const, refcountBits: 8 as const }, 'refcount width'],
  [{ version: 2 as const, extendedL2: true }, 'extended L2 entries'],
  [{ version: 2 as const, lazyRefcounts: true }, 'lazy refcounts'],
  [{ version: 2 as const, compressionType: 'zstd' as const }, 'compression type'],
  // Each of these made an image that nobody could read, and told of success.
  [{ compressionType: 'deflate' as 'zlib' }, 'compression type'],
  [{ compressionType: '' as 'zlib' }, 'compression type'],
  [{ compressionType: null as unknown as 'zlib' }, 'compression type'],
  [{ compressionType: true as unknown as 'zlib' }, 'compression type'],
  [{ extendedL2: true, clusterBytes: 8192 }, 'extended L2 entries'],
  [{ diskSizeBytes: -1 }, 'disk size'],
  [{ diskSizeBytes: 2 ** 52 }, 'disk size'],
])('%j', (changes, structure) => {
  const make = () => geometryOfNew({ ...PLAIN, ...changes });
  expect(make).toThrow(
    expect.objectContaining({
      code: 'NEW_IMAGE_INVALID',
      details: expect.objectContaining({ structure }) as unknown,
    }) as Error,
  );
});

test('the sizes of a new image', () => {
  expect(geometryOfNew(PLAIN)).toMatchObject({
    clusterBits: 16,
    refcountBits: 16,
    l2Entries: 8192,
  });
});
