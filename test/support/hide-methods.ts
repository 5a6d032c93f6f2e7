/** The same object without some of its methods; the others are called on the object itself. */
export function hideMethods<T extends object, K extends keyof T>(
  object: T,
  hidden: readonly K[],
): Omit<T, K> {
  return new Proxy(object, {
    get: (target, name) => {
      if (hidden.includes(name as K)) return undefined;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
