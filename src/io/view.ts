import type { BlockSource, ReadRequest } from './device.js';

/**
 * The same source with some of its members replaced: for whoever reads through it, and for nobody else.
 *
 * @param replaced by name or symbol.
 */
export function viewOf<Source extends BlockSource>(
  source: Source,
  replaced: ReadonlyMap<string | symbol, unknown>,
): Source {
  return new Proxy(source, {
    get(target, name) {
      if (replaced.has(name)) return replaced.get(name);
      const value: unknown = Reflect.get(target, name, target);
      // Devices have private fields, which only their own methods reach.
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

/**
 * What a source has from a byte on, as a source of its own: an image inside a larger file.
 *
 * @param at of its first byte.
 */
export function tailOf<Source extends BlockSource>(source: Source, at: number): Source {
  const replaced = new Map<keyof BlockSource, unknown>([
    ['sizeBytes', async () => Math.max(0, (await source.sizeBytes()) - at)],
    [
      'readBatch',
      (requests: readonly ReadRequest[]) =>
        source.readBatch(requests.map((one) => ({ at: one.at + at, into: one.into }))),
    ],
    ['stretchesFrom', undefined],
    ['allocatedBytes', undefined],
  ]);
  return viewOf(source, replaced);
}
