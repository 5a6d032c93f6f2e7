import type { BlockSource } from './device.js';

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
