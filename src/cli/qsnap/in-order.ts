/** Images whose headers are read at once; what is printed keeps their order. */
const AT_ONCE = 8;

/** Results one after the other: somebody may be asked about each. */
export async function* inTurn<I, T>(
  items: readonly I[],
  work: (item: I) => Promise<T>,
): AsyncGenerator<T> {
  for (const item of items) yield await work(item);
}

/** Results in the order of the images, though several are worked on at once. */
export async function* inOrder<I, T>(
  items: readonly I[],
  work: (item: I) => Promise<T>,
  atOnce = AT_ONCE,
): AsyncGenerator<T> {
  const running: Promise<T>[] = [];
  const start = (item: I): void => {
    const one = work(item);
    // Its error is taken in its turn.
    one.catch(() => undefined);
    running.push(one);
  };
  for (const item of items) {
    if (running.length === atOnce) yield await running.shift()!;
    start(item);
  }
  for (const one of running) yield await one;
}

/** Each result changed as it comes. */
export async function* mapped<I, T>(
  results: AsyncIterable<I>,
  change: (result: I) => T,
): AsyncGenerator<T> {
  for await (const result of results) yield change(result);
}
